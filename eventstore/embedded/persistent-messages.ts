/**
 * The messages of a persistent subscription that are read but not yet settled: waiting, or in flight. What lies before
 * the oldest of them need never be sent again, and is where the checkpoint may stand.
 *
 *     read ──► waiting ──► in flight ──► acknowledged, skipped, parked
 *                 ▲            │
 *                 └── retried ─┘
 */
import type { StoredRecord } from './storage.ts';

export type Message = {
  /** In the order of reading. */
  readonly number: number;
  /** As consumers acknowledge it: of the link, where there is one. */
  readonly id: string;
  readonly record: StoredRecord;
  /** Where `record` is a link: what it points to. */
  readonly event: StoredRecord | undefined;
  /** The place up to which all is settled when everything read before this message is. */
  readonly before: number;
  /** Set for a message that had been parked, and is replayed. */
  readonly parkedRevision: number | undefined;
  readonly bytes: number;
  retries: number;
  wasSent: boolean;
  /** What it is pinned by. */
  key: string | undefined;
};

/** A record is read as a part of a page, which a message that waits for long must not keep in memory. */
function owned(record: StoredRecord): StoredRecord {
  const { wire } = record;
  if (wire.buffer.byteLength <= pageSharesMax * wire.length) return record;
  // Not out of the pool that small buffers share.
  const copy = Buffer.allocUnsafeSlow(wire.length);
  copy.set(wire);
  // One by one: a storage may read them off the bytes only when they are asked for.
  const { position, stream, revision, id, type, createdMs } = record;
  return { position, stream, revision, id, type, createdMs, wire: copy };
}
const pageSharesMax = 4;

export class Messages {
  /** In the order of reading. */
  #waiting: Message[] = [];
  /** By number, which is the order in which they were added: of the source, and of those replayed. */
  readonly #unsettled = new Map<number, Message>();
  readonly #replayed = new Map<number, Message>();
  #bytes = 0;
  #count = 0;
  #lastSent = 0;

  get waiting(): readonly Message[] {
    return this.#waiting;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Messages read and not settled, replayed ones too. */
  get size(): number {
    return this.#unsettled.size + this.#replayed.size;
  }

  get retrying(): number {
    let count = 0;
    for (const { retries } of this.#waiting) if (retries > 0) count += 1;
    return count;
  }

  add(read: Pick<Message, 'record' | 'event' | 'before' | 'parkedRevision'>): void {
    this.#count += 1;
    const record = owned(read.record);
    const event = read.event && owned(read.event);
    const bytes = record.wire.length + (event?.wire.length ?? 0);
    const message: Message = {
      ...read,
      record,
      event,
      number: this.#count,
      id: read.record.id,
      bytes,
      retries: 0,
      wasSent: false,
      key: undefined,
    };
    this.#bytes += bytes;
    this.#unsettledOf(message).set(message.number, message);
    this.#waiting.push(message);
  }

  #unsettledOf({ parkedRevision }: Message): Map<number, Message> {
    return parkedRevision === undefined ? this.#unsettled : this.#replayed;
  }

  /** Offers what waits, in order, until `place` says that nobody takes any more. */
  dispatch(place: (message: Message) => 'sent' | 'next' | 'stop'): void {
    const left: Message[] = [];
    let at = 0;
    for (; at < this.#waiting.length; at++) {
      const message = this.#waiting[at] as Message;
      const outcome = place(message);
      if (outcome === 'stop') break;
      if (outcome === 'next') {
        left.push(message);
        continue;
      }
      message.wasSent = true;
      this.#lastSent = Math.max(this.#lastSent, message.number);
    }
    if (at > 0) this.#waiting = [...left, ...this.#waiting.slice(at)];
  }

  /** Back among those that wait, at its old place. */
  retry(message: Message): void {
    let at = 0;
    while (at < this.#waiting.length && (this.#waiting[at] as Message).number < message.number) at += 1;
    this.#waiting.splice(at, 0, message);
  }

  settle(message: Message): void {
    if (this.#unsettledOf(message).delete(message.number)) this.#bytes -= message.bytes;
  }

  /** Where the source stands when `cursor` is what has been read: nothing before is open. */
  settledPlace(cursor: number): number {
    for (const { before } of this.#unsettled.values()) return before;
    return cursor;
  }

  /** The first parked revision that is not settled; `next` when all that were read are. */
  settledParked(next: number): number {
    let first = next;
    for (const { parkedRevision } of this.#replayed.values()) {
      if (parkedRevision !== undefined && parkedRevision < first) first = parkedRevision;
    }
    return first;
  }

  /**
   * Forgets what nobody has been sent, so that a group without consumers holds no more than it must. Returns where the
   * reading of the source and of what is parked has to go on.
   */
  forgetUnsent(cursor: number, nextParked: number): { cursor: number; nextParked: number } {
    let place = cursor;
    let parked = nextParked;
    const unsent = (message: Message) => !message.wasSent && message.number > this.#lastSent;
    for (const message of this.#waiting.filter(unsent).reverse()) {
      this.settle(message);
      if (message.parkedRevision === undefined) place = message.before;
      else parked = message.parkedRevision;
    }
    this.#waiting = this.#waiting.filter(message => !unsent(message));
    return { cursor: place, nextParked: parked };
  }
}
