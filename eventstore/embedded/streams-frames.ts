/** Events as frames of gRPC, put together from their stored form: nothing is encoded but lengths and positions. */
import { uintBytes, Writer } from './codec.ts';
import { linkType } from './log.ts';
import type { StoredRecord } from './storage.ts';

const tag = { event: 0x0a, link: 0x12, commit: 0x18, retries: 0x28 };

export const isLink = (record: StoredRecord) => record.type === linkType;

const fieldBytes = (wire: Uint8Array | undefined) =>
  wire === undefined ? 0 : 1 + uintBytes(wire.length) + wire.length;

/** A stored record begins with its id in text: two bytes of tags and lengths each for the field and the text. */
const idEnd = 4 + 36;

/** The record with its id as two numbers of 64 bits, for clients that ask for it so. */
function withStructuredId(wire: Uint8Array): Uint8Array {
  const text = Buffer.from(wire.subarray(4, idEnd)).toString('latin1').replaceAll('-', '');
  const halves = [text.slice(0, 16), text.slice(16)].map((hex, i) => [
    8 * (i + 1),
    ...varint64(BigInt(`0x${hex}`)),
  ]);
  const inner = halves.flat();
  const id = [tag.event, inner.length + 2, tag.event, inner.length, ...inner];
  return Buffer.concat([Buffer.from(id), wire.subarray(idEnd)]);
}

function varint64(value: bigint): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  return [...bytes, Number(rest)];
}

/** Collects frames that are sent together. */
export class Frames {
  #writer: Writer;
  readonly #structuredIds: boolean;

  constructor(bytes: number, structuredIds = false) {
    this.#writer = new Writer(bytes);
    this.#structuredIds = structuredIds;
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
    const eventWire = this.#wire(event);
    const linkWire = this.#wire(link);
    const inner =
      fieldBytes(eventWire) +
      fieldBytes(linkWire) +
      (1 + uintBytes(commit)) +
      (retries === undefined ? 0 : 1 + uintBytes(retries));
    writer.prefix(1 + uintBytes(inner) + inner);
    writer.uint(tag.event);
    writer.uint(inner);
    this.#record(tag.event, eventWire);
    this.#record(tag.link, linkWire);
    writer.uint(tag.commit);
    writer.uint(commit);
    if (retries === undefined) return;
    writer.uint(tag.retries);
    writer.uint(retries);
  }

  #wire(record: StoredRecord | undefined): Uint8Array | undefined {
    return record !== undefined && this.#structuredIds ? withStructuredId(record.wire) : record?.wire;
  }

  #record(fieldTag: number, wire: Uint8Array | undefined): void {
    if (wire === undefined) return;
    this.#writer.uint(fieldTag);
    this.#writer.uint(wire.length);
    this.#writer.bytes(wire);
  }

  /** What has been collected; the next begins anew. */
  taken(): Buffer {
    const bytes = this.#writer.taken();
    this.#writer = new Writer(0);
    return bytes;
  }
}
