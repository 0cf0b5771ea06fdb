/**
 * Protobuf wire format, as much of it as the log's protocol needs: messages are described once by their field numbers and
 * are read and written from the description. Source: protobuf.dev/programming-guides/encoding.
 *
 * Whole numbers of 64 bits are JavaScript numbers: what is beyond 2^53 (only "the end" and "for ever") loses its last digits.
 */

/** The bytes are no message of the type expected. */
export class MalformedMessage extends Error {
  override readonly name = 'MalformedMessage';
}

type Kind = 'string' | 'bytes' | 'bool' | 'uint' | 'int' | 'message' | 'map';

export type Field<T> = {
  readonly number: number;
  readonly kind: Kind;
  readonly repeated: boolean;
  /** What stands where the field is absent; undefined for messages and members of a oneof. */
  readonly absent: T;
  readonly codec?: AnyCodec;
};

// biome-ignore lint/suspicious/noExplicitAny: a description holds codecs of any message; types are kept by Field<T>.
type AnyCodec = Codec<any>;
type Fields = Record<string, Field<unknown>>;
type Decoded<F> = { readonly [K in keyof F]: F[K] extends Field<infer T> ? T : never };
/** What may be left out of a message that is written: everything. */
type Input<T> = T extends Uint8Array | Map<string, string> | string | number | boolean | undefined
  ? T
  : T extends readonly (infer I)[]
    ? readonly Input<I>[]
    : { readonly [K in keyof T]?: Input<T[K]> | undefined };

export type Codec<T> = {
  decode(bytes: Buffer): T;
  /** The message behind gRPC's prefix of five bytes (uncompressed, length): ready to be sent. */
  frame(value: Input<T>): Buffer;
  encode(value: Input<T>): Buffer;
  read(bytes: Buffer, from: number, to: number): T;
  write(writer: Writer, value: Input<T>): void;
};

const noBytes = Buffer.alloc(0);
const field = <T>(number: number, kind: Kind, absent: T, codec?: AnyCodec): Field<T> =>
  codec ? { number, kind, repeated: false, absent, codec } : { number, kind, repeated: false, absent };

export const string = (number: number): Field<string> => field(number, 'string', '');
export const bytes = (number: number): Field<Buffer> => field(number, 'bytes', noBytes);
export const bool = (number: number): Field<boolean> => field(number, 'bool', false);
/** uint32, uint64 and enumerations. */
export const uint = (number: number): Field<number> => field(number, 'uint', 0);
/** int32 and int64. */
export const int = (number: number): Field<number> => field(number, 'int', 0);
export const map = (number: number): Field<Map<string, string>> => field(number, 'map', new Map());
export const nested = <T>(number: number, codec: Codec<T>): Field<T | undefined> =>
  field<T | undefined>(number, 'message', undefined, codec);
/** A scalar inside a oneof, or declared optional: absence is seen. */
export const maybe = <T>(of: Field<T>): Field<T | undefined> => ({ ...of, absent: undefined });
export const repeated = <T>(of: Field<T>): Field<readonly NonNullable<T>[]> => ({
  ...of,
  repeated: true,
  absent: [],
});

/** Describes a message by its fields. Unknown fields are skipped when read. */
export function message<F extends Fields>(fields: F): Codec<Decoded<F>> {
  type T = Decoded<F>;
  const names: (string | undefined)[] = [];
  const byNumber: (Field<unknown> | undefined)[] = [];
  const absent: Record<string, unknown> = {};
  for (const [name, described] of Object.entries(fields)) {
    names[described.number] = name;
    byNumber[described.number] = described;
    absent[name] = described.absent;
  }
  const entries = Object.entries(fields);

  function read(buffer: Buffer, from: number, to: number): T {
    const found: Record<string, unknown> = { ...absent };
    cursor = from;
    while (cursor < to) {
      const tag = readUint(buffer, to);
      const number = Math.floor(tag / 8);
      const described = byNumber[number];
      if (described === undefined) {
        skip(buffer, tag & 7, to);
        continue;
      }
      const name = names[number] as string;
      const value = readValue(buffer, described, tag & 7, to, found[name]);
      if (!described.repeated) found[name] = value;
      else if (found[name] === described.absent) found[name] = [value];
      else (found[name] as unknown[]).push(value);
    }
    return found as T;
  }

  function write(writer: Writer, value: Input<T>): void {
    const values = value as Record<string, unknown>;
    for (const [name, described] of entries) {
      const item = values[name];
      if (item === undefined) continue;
      if (described.repeated) for (const one of item as unknown[]) writeValue(writer, described, one);
      else if (described.absent === undefined || !isDefault(item)) writeValue(writer, described, item);
    }
  }

  return {
    read,
    write,
    decode: buffer => read(buffer, 0, buffer.length),
    encode: value => {
      const writer = new Writer();
      write(writer, value);
      return writer.taken();
    },
    frame: value => {
      const writer = new Writer();
      writer.skip(prefixBytes);
      write(writer, value);
      const framed = writer.taken();
      framed[0] = 0;
      framed.writeUInt32BE(framed.length - prefixBytes, 1);
      return framed;
    },
  };
}

/** Compressed-flag and length before each message of gRPC. */
export const prefixBytes = 5;

function isDefault(value: unknown): boolean {
  return (
    value === '' || value === 0 || value === false || (value instanceof Uint8Array && value.length === 0)
  );
}

// One reader at a time: decoding is synchronous, so the place can be kept outside and nothing is allocated for it.
let cursor = 0;

function readUint(buffer: Buffer, to: number): number {
  let value = 0;
  let factor = 1;
  for (let i = 0; i < 10; i++) {
    if (cursor >= to) throw new MalformedMessage('a number ends early');
    const byte = buffer[cursor++] as number;
    value += (byte & 0x7f) * factor;
    if (byte < 0x80) return value;
    factor *= 128;
  }
  throw new MalformedMessage('a number is too long');
}

const two64 = 2 ** 64;

function readLength(buffer: Buffer, wireType: number, to: number): number {
  if (wireType !== 2) throw new MalformedMessage('a field has the wrong wire type');
  const length = readUint(buffer, to);
  if (cursor + length > to) throw new MalformedMessage('a field ends early');
  return length;
}

function readValue(
  buffer: Buffer,
  described: Field<unknown>,
  wireType: number,
  to: number,
  old: unknown,
): unknown {
  switch (described.kind) {
    case 'uint':
    case 'int':
    case 'bool': {
      if (wireType !== 0) throw new MalformedMessage('a field has the wrong wire type');
      const value = readUint(buffer, to);
      if (described.kind === 'bool') return value !== 0;
      // Two's complement of a negative number is always sent in ten bytes.
      return described.kind === 'int' && value >= two64 / 2 ? readNegative(buffer, cursor) : value;
    }
    case 'string': {
      const end = readLength(buffer, wireType, to) + cursor;
      const text = buffer.toString('utf8', cursor, end);
      cursor = end;
      return text;
    }
    case 'bytes': {
      const end = readLength(buffer, wireType, to) + cursor;
      const part = buffer.subarray(cursor, end);
      cursor = end;
      return part;
    }
    case 'message': {
      const end = readLength(buffer, wireType, to) + cursor;
      const value = (described.codec as AnyCodec).read(buffer, cursor, end);
      cursor = end;
      return value;
    }
    case 'map': {
      const end = readLength(buffer, wireType, to) + cursor;
      const pair = mapEntry.read(buffer, cursor, end);
      cursor = end;
      const pairs = old === described.absent ? new Map<string, string>() : (old as Map<string, string>);
      return pairs.set(pair.key, pair.value);
    }
  }
}

function readNegative(buffer: Buffer, end: number): number {
  let value = 0n;
  for (let i = 0; i < 10; i++) value |= BigInt((buffer[end - 10 + i] as number) & 0x7f) << BigInt(7 * i);
  return Number(BigInt.asIntN(64, value));
}

function skip(buffer: Buffer, wireType: number, to: number): void {
  if (wireType === 0) readUint(buffer, to);
  else if (wireType === 1) cursor += 8;
  else if (wireType === 2) {
    const length = readLength(buffer, 2, to);
    cursor += length;
  } else if (wireType === 5) cursor += 4;
  else throw new MalformedMessage(`wire type ${wireType} is unknown`);
  if (cursor > to) throw new MalformedMessage('a field ends early');
}

function writeValue(writer: Writer, { number, kind, codec }: Field<unknown>, value: unknown): void {
  switch (kind) {
    case 'uint':
    case 'int':
      writer.uint(number * 8);
      writer.uint(value as number);
      return;
    case 'bool':
      writer.uint(number * 8);
      writer.uint(value === true ? 1 : 0);
      return;
    case 'string':
      writer.uint(number * 8 + 2);
      writer.text(value as string);
      return;
    case 'bytes':
      writer.uint(number * 8 + 2);
      writer.uint((value as Uint8Array).length);
      writer.bytes(value as Uint8Array);
      return;
    case 'message': {
      writer.uint(number * 8 + 2);
      const start = writer.open();
      (codec as AnyCodec).write(writer, value);
      writer.close(start);
      return;
    }
    case 'map':
      for (const [key, text] of value as Map<string, string>) {
        writer.uint(number * 8 + 2);
        const start = writer.open();
        mapEntry.write(writer, { key, value: text });
        writer.close(start);
      }
  }
}

const scratchBytes = 256;

/** A buffer that grows. Lengths of nested messages are filled in when these are closed. */
export class Writer {
  #buffer: Buffer;
  #length = 0;

  constructor(bytes = scratchBytes) {
    this.#buffer = Buffer.allocUnsafe(bytes);
  }

  get length(): number {
    return this.#length;
  }

  #reserve(bytes: number): void {
    const needed = this.#length + bytes;
    if (needed <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(needed, this.#buffer.length * 2));
    this.#buffer.copy(larger, 0, 0, this.#length);
    this.#buffer = larger;
  }

  skip(bytes: number): void {
    this.#reserve(bytes);
    this.#length += bytes;
  }

  uint(value: number): void {
    this.#reserve(10);
    // Tags and most lengths.
    if (value >= 0 && value < 0x80) {
      this.#buffer[this.#length++] = value;
      return;
    }
    if (value < 0) {
      this.#negative(value);
      return;
    }
    while (value >= 0x80) {
      this.#buffer[this.#length++] = (value % 128) + 128;
      value = Math.floor(value / 128);
    }
    this.#buffer[this.#length++] = value;
  }

  #negative(value: number): void {
    let rest = BigInt.asUintN(64, BigInt(value));
    for (let i = 0; i < 9; i++) {
      this.#buffer[this.#length++] = Number(rest & 0x7fn) + 128;
      rest >>= 7n;
    }
    this.#buffer[this.#length++] = Number(rest);
  }

  text(value: string): void {
    const length = Buffer.byteLength(value);
    this.uint(length);
    this.#reserve(length);
    this.#length += this.#buffer.write(value, this.#length, 'utf8');
  }

  bytes(value: Uint8Array): void {
    this.#reserve(value.length);
    this.#buffer.set(value, this.#length);
    this.#length += value.length;
  }

  /** Starts something that is preceded by its length; one byte is kept for it, which is mostly enough. */
  open(): number {
    this.#reserve(1);
    return ++this.#length;
  }

  close(start: number): void {
    const size = this.#length - start;
    if (size >= 0x80) {
      const more = uintBytes(size) - 1;
      this.#reserve(more);
      this.#buffer.copyWithin(start + more, start, this.#length);
    }
    this.#length = start - 1;
    this.uint(size);
    this.#length += size;
  }

  /** Writes the prefix of a gRPC message, whose length is known beforehand. */
  prefix(length: number): void {
    this.#reserve(prefixBytes);
    this.#buffer[this.#length] = 0;
    this.#buffer.writeUInt32BE(length, this.#length + 1);
    this.#length += prefixBytes;
  }

  taken(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }
}

/** How many bytes a number ≥ 0 takes. */
export function uintBytes(value: number): number {
  let size = 1;
  while (value >= 0x80) {
    value = Math.floor(value / 128);
    size++;
  }
  return size;
}

const mapEntry = message({ key: string(1), value: string(2) });
export const empty = message({});
