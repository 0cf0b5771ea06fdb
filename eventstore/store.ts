/** What the platform asks of its event log: three verbs. memory.ts and esdb.ts both pass test/contract/eventstore.ts. */
import type { Metadata, Recorded } from '../domain/events.ts';
import type { Message } from '../domain/kernel/decider.ts';

/** An event that is not stored yet. `id` is a UUID; the log knows a repeated append by it. */
export type NewEvent = Message & { readonly id: string; readonly metadata: Metadata };

/** A whole stream in order, and the revision an append has to expect. `none`: the stream does not exist. */
type Loaded = { readonly events: readonly Recorded[]; readonly revision: bigint | 'none' };

export type SubscribeOptions = {
  /** Exclusive: the first event is the one after this position. */
  readonly from: bigint | 'start' | 'end';
  readonly streamPrefixes: readonly string[];
  readonly signal: AbortSignal;
};

/**
 * What a subscription yields: events in the order of the log, and how far the reader is. Nothing that matches lies at or
 * before `position` that is not in this batch or an earlier one, so a reader may store it as its checkpoint.
 */
export type Batch<E = Recorded> = {
  readonly events: readonly E[];
  /** Null while nothing is known yet: the subscription began at the start or end, and nothing has come. */
  readonly position: bigint | null;
  /** Everything that was stored when the subscription asked has been yielded; what follows is live. */
  readonly caughtUp: boolean;
};

export type EventStore = {
  /** Rejects where an event cannot be read; with `isLenient` it is answered as `unreadable`, as to those who follow. */
  load(stream: string, options?: { readonly isLenient?: boolean }): Promise<Loaded>;
  /**
   * All of the events or none, durable when it resolves. `position` is that of the last event.
   * Rejects with WrongRevision when the stream is not at `expected`.
   */
  append(
    stream: string,
    events: readonly NewEvent[],
    expected: bigint | 'none',
  ): Promise<{ position: bigint }>;
  /**
   * Everything after `from`, then whatever comes, until the signal aborts. A slow reader is waited for. A connection
   * that breaks is opened again behind the last event yielded, so no event is lost or repeated.
   */
  subscribe(options: SubscribeOptions): AsyncIterable<Batch>;
};

/**
 * An event as the log keeps it, whatever its stream: not lifted to today's shape, so that it is the same for ever. `data` and
 * `metadata` are bytes where they are no JSON; metadata that is empty is null.
 */
export type StoredEvent = {
  readonly position: bigint;
  readonly stream: string;
  readonly revision: bigint;
  readonly id: string;
  readonly type: string;
  readonly isJson: boolean;
  readonly data: unknown;
  readonly metadata: unknown;
  /** When the log stored it, RFC 3339 in UTC with milliseconds. */
  readonly created: string;
};

/** For whoever has to do with the whole log, and not with what its events mean. The log's own streams (`$…`) are left out. */
export type StoredLog = {
  /** As `subscribe`, of every stream. */
  follow(options: Omit<SubscribeOptions, 'streamPrefixes'>): AsyncIterable<Batch<StoredEvent>>;
  /** The event at exactly this position; undefined when there is none, or one of the log's own. */
  at(position: bigint): Promise<StoredEvent | undefined>;
};

/** Somebody else wrote to the stream first. */
export class WrongRevision extends Error {
  override readonly name = 'WrongRevision';
}

/** The log cannot be reached, or cannot store just now (its disk is full). The caller may repeat the same append. */
export class LogUnavailable extends Error {
  override readonly name = 'LogUnavailable';
}
