/** Events as frames of gRPC, put together from their stored form: nothing is encoded but lengths and positions. */
import { uintBytes, Writer } from './codec.ts';
import type { EventLog } from './log.ts';
import { linkType } from './log.ts';
import type { StoredRecord } from './storage.ts';

/** An event as it is sent: with the link that led to it, or only a link whose event is gone. */
export type Sendable = { readonly event: StoredRecord | undefined; readonly link: StoredRecord | undefined };

const tag = { event: 0x0a, link: 0x12, commit: 0x18, retries: 0x28 };

/** Follows links where that is asked for. */
export async function sendable(record: StoredRecord, log: EventLog): Promise<Sendable> {
  return { event: await log.resolve(record), link: record };
}

export const isLink = (record: StoredRecord) => record.type === linkType;

const fieldBytes = (record: StoredRecord | undefined) =>
  record === undefined ? 0 : 1 + uintBytes(record.wire.length) + record.wire.length;

/** Collects frames that are sent together. */
export class Frames {
  #writer: Writer;

  constructor(bytes: number) {
    this.#writer = new Writer(bytes);
  }

  get length(): number {
    return this.#writer.length;
  }

  /** A frame that is complete, prefix and all. */
  add(frame: Buffer): void {
    this.#writer.bytes(frame);
  }

  /** ReadResp with an event; of a persistent subscription also how often it has been retried. */
  event(event: StoredRecord | undefined, link: StoredRecord | undefined, retries?: number): void {
    const writer = this.#writer;
    const commit = (link ?? event)?.position ?? 0;
    const inner =
      fieldBytes(event) +
      fieldBytes(link) +
      (1 + uintBytes(commit)) +
      (retries === undefined ? 0 : 1 + uintBytes(retries));
    writer.prefix(1 + uintBytes(inner) + inner);
    writer.uint(tag.event);
    writer.uint(inner);
    this.#record(tag.event, event);
    this.#record(tag.link, link);
    writer.uint(tag.commit);
    writer.uint(commit);
    if (retries === undefined) return;
    writer.uint(tag.retries);
    writer.uint(retries);
  }

  #record(fieldTag: number, record: StoredRecord | undefined): void {
    if (record === undefined) return;
    this.#writer.uint(fieldTag);
    this.#writer.uint(record.wire.length);
    this.#writer.bytes(record.wire);
  }

  /** What has been collected; the next begins anew. */
  taken(): Buffer {
    const bytes = this.#writer.taken();
    this.#writer = new Writer(0);
    return bytes;
  }
}
