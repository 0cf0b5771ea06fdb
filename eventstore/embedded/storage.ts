/**
 * Where the embedded event log keeps its records. The layer above (log.ts) knows streams' rules — expected revisions,
 * idempotence, metadata, deletion, links — and the server (grpc) knows the wire; a storage knows only bytes, order and disks.
 * `memory-storage.ts` keeps them in arrays, `segment-storage.ts` on disk. Both pass test/contract/storage.ts.
 */

/** What is to be stored: the parts of event_store.client.streams proposed messages, already checked. */
export type NewRecord = {
  /** UUID in lower-case text. */
  readonly id: string;
  readonly type: string;
  readonly contentType: 'application/json' | 'application/octet-stream';
  readonly data: Uint8Array;
  readonly metadata: Uint8Array;
};

/** One stored record. */
export type StoredRecord = {
  /** Place in the total order: > 0, strictly increasing, never reused, the same for ever (also after scavenge and restore). */
  readonly position: number;
  readonly stream: string;
  readonly revision: number;
  readonly id: string;
  readonly type: string;
  /** Milliseconds since the Unix epoch at which the record was accepted. */
  readonly createdMs: number;
  /**
   * The body of event_store.client.streams.ReadResp.ReadEvent.RecordedEvent in protobuf wire encoding, ready to be sent:
   * id, stream identifier, revision, prepare and commit position, metadata map, custom metadata, data.
   */
  readonly wire: Uint8Array;
};

/** The end of a stream, counting records that are accepted but not yet durable. */
export type Head = { readonly revision: number };

export type Appended = { readonly position: number; readonly revision: number };

export type Durability = 'always' | 'none' | { readonly intervalMs: number };

export type Storage = {
  /**
   * Accepts the records synchronously — `head` counts them from now on — as one atomic commit, and resolves when they are
   * durable. The caller has checked that `firstRevision` follows the head (gaps are allowed upwards only: the tombstone).
   * Rejects with StorageFull (ENOSPC, EDQUOT; goes on working once there is room) or StorageFailed; then these records and
   * everything accepted after them that built on them are gone and `head` says so. Many appends in flight share one sync.
   */
  append(stream: string, firstRevision: number, records: readonly NewRecord[]): Promise<Appended>;
  /** Undefined when the stream has never had a record. Synchronous; a cold stream may cost one read of an index page. */
  head(stream: string): Head | undefined;
  /** Position of the newest durable record; 0 in an empty log. */
  lastPosition(): number;
  /** At most `limit` durable records and about `bytesMax` bytes, from `from` inclusive, in the direction asked for. */
  readAll(
    from: number,
    direction: 'forwards' | 'backwards',
    limit: number,
    bytesMax?: number,
  ): Promise<StoredRecord[]>;
  /** The same within one stream, from revision `from` inclusive. */
  readStream(
    stream: string,
    from: number,
    direction: 'forwards' | 'backwards',
    limit: number,
    bytesMax?: number,
  ): Promise<StoredRecord[]>;
  /** Calls back after each durable commit, in order, with its records. Returns the function that ends it. */
  onCommit(listener: (records: readonly StoredRecord[]) => void): () => void;
  /**
   * Rewrites what is closed, without the records `keep` says no to; positions and revisions of the others stay.
   * Runs beside reads and appends; a crash leaves either the old or the new form. Resolves with what was won.
   */
  scavenge(
    keep: (record: StoredRecord) => boolean,
    signal?: AbortSignal,
  ): Promise<{ bytesFreed: number; records: number }>;
  /** Syncs, and closes every file. No other call is allowed after it. */
  close(): Promise<void>;
};

/** No room on the disk. Nothing was stored; reads go on; the next append tries again. */
export class StorageFull extends Error {
  override readonly name = 'StorageFull';
}

/** The disk refused or the bytes are damaged. `position` names the first record that cannot be trusted, where known. */
export class StorageFailed extends Error {
  override readonly name = 'StorageFailed';
  readonly position: number | undefined;
  constructor(message: string, position?: number, options?: ErrorOptions) {
    super(message, options);
    this.position = position;
  }
}
