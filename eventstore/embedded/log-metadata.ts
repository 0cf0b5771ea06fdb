/**
 * What `$$stream` says about a stream: how much of it can still be read, and by whom. The newest of these records counts
 * from the moment it is accepted, so it is kept here; what is not kept is read from the storage.
 */
import type { Storage } from './storage.ts';
import { decodeRecordedEvent, tombstoneRevision } from './wire-record.ts';

export type StreamMetadata = {
  readonly maxCount: number | undefined;
  readonly maxAgeMs: number | undefined;
  /** First revision that can be read; `deletedBefore` and beyond: the stream is (softly) deleted. */
  readonly truncateBefore: number;
  readonly acl: Acl | undefined;
  /** The whole JSON object, with keys of the user's own. */
  readonly json: Readonly<Record<string, unknown>>;
};

/** Names of users and groups that may read, write, delete, read and write metadata. Undefined: as by default. */
export type Acl = { readonly [operation in AclKey]?: readonly string[] };
export type AclKey = '$r' | '$w' | '$d' | '$mr' | '$mw';
const aclKeys: readonly AclKey[] = ['$r', '$w', '$d', '$mr', '$mw'];

/** `$tb` of a softly deleted stream is 2^63 - 1, which a number holds approximately: anything from here on is that. */
export const deletedBefore = tombstoneRevision;
/** 2^63 - 1 in JSON, which JSON.stringify could not write. */
export const deletedBeforeText = '9223372036854775807';

const noMetadata: StreamMetadata = {
  maxCount: undefined,
  maxAgeMs: undefined,
  truncateBefore: 0,
  acl: undefined,
  json: {},
};
/** Of a metadata stream only the newest record is of interest. */
const metadataOfMetadata: StreamMetadata = { ...noMetadata, maxCount: 1 };

export const metadataType = '$metadata';
export const metadataStream = (stream: string) => `$$${stream}`;
export const isMetadataStream = (stream: string) => stream.startsWith('$$');
/** The stream that a metadata stream is about. */
export const describedStream = (stream: string) => stream.slice(2);

const cachedStreamsMax = 10_000;

/** Reads what is known; what is not JSON, or of the wrong type, says nothing. */
export function parseMetadata(data: Uint8Array): StreamMetadata {
  let json: Record<string, unknown>;
  try {
    const parsed: unknown = JSON.parse(Buffer.from(data).toString('utf8'));
    if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) return noMetadata;
    json = parsed as Record<string, unknown>;
  } catch {
    return noMetadata;
  }
  const maxAge = wholeNumber(json.$maxAge);
  return {
    maxCount: wholeNumber(json.$maxCount),
    maxAgeMs: maxAge === undefined ? undefined : maxAge * 1_000,
    truncateBefore: wholeNumber(json.$tb) ?? 0,
    acl: parseAcl(json.$acl),
    json,
  };
}

function wholeNumber(value: unknown): number | undefined {
  return typeof value === 'number' && value >= 0 ? Math.floor(value) : undefined;
}

export function parseAcl(value: unknown): Acl | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const acl: Partial<Record<AclKey, readonly string[]>> = {};
  for (const key of aclKeys) {
    const names = (value as Record<string, unknown>)[key];
    if (typeof names === 'string') acl[key] = [names];
    else if (Array.isArray(names)) acl[key] = names.filter(name => typeof name === 'string');
  }
  return acl;
}

export type MetadataCache = {
  /** At once where it is known, which is nearly always. */
  of(stream: string): StreamMetadata | Promise<StreamMetadata>;
  /** `data` has been accepted as the newest metadata of `stream`; `durable` settles when it is stored or refused. */
  accepted(stream: string, data: Uint8Array, durable: Promise<unknown>): void;
};

export function metadataCache(storage: Storage): MetadataCache {
  const cached = new Map<string, StreamMetadata>();
  // Accepted but not yet durable: the storage cannot read these back, so they must not be dropped.
  const pending = new Map<string, { readonly metadata: StreamMetadata }>();

  function keep(stream: string, metadata: StreamMetadata): void {
    cached.delete(stream);
    cached.set(stream, metadata);
    if (cached.size <= cachedStreamsMax) return;
    for (const oldest of cached.keys()) {
      cached.delete(oldest);
      return;
    }
  }

  async function load(stream: string): Promise<StreamMetadata> {
    const [newest] = await storage.readStream(metadataStream(stream), tombstoneRevision, 'backwards', 1);
    const later = pending.get(stream)?.metadata ?? cached.get(stream);
    if (later !== undefined) return later;
    const metadata = newest === undefined ? noMetadata : parseMetadata(decodeRecordedEvent(newest.wire).data);
    keep(stream, metadata);
    return metadata;
  }

  return {
    of(stream) {
      if (isMetadataStream(stream)) return metadataOfMetadata;
      const known = pending.get(stream)?.metadata ?? cached.get(stream);
      if (known !== undefined) return known;
      return storage.head(metadataStream(stream)) === undefined ? noMetadata : load(stream);
    },
    accepted(stream, data, durable) {
      const entry = { metadata: parseMetadata(data) };
      cached.delete(stream);
      pending.set(stream, entry);
      const settle = (stored: boolean) => {
        if (pending.get(stream) !== entry) return;
        pending.delete(stream);
        if (stored) keep(stream, entry.metadata);
      };
      durable.then(
        () => settle(true),
        () => settle(false),
      );
    },
  };
}
