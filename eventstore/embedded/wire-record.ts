/**
 * One stored record as the wire has it: the body of event_store.client.streams.ReadResp.ReadEvent.RecordedEvent.
 * The log keeps records in this form, so that a read copies bytes and encodes nothing. Written by hand, because a general
 * protobuf writer costs several times as much per record, and this is the innermost loop of every append.
 */

export type RecordedEvent = {
  /** UUID in lower-case text. */
  readonly id: string;
  readonly stream: string;
  readonly revision: number;
  /** Prepare and commit position: they are one and the same here. */
  readonly position: number;
  readonly type: string;
  readonly contentType: string;
  readonly createdMs: number;
  readonly data: Uint8Array;
  readonly metadata: Uint8Array;
};

/**
 * The revision of a tombstone. On the wire it is 2^63 - 1, which a number cannot hold: revisions from here on are written as
 * 2^63 - 1, and everything from here on is read as this.
 */
export const tombstoneRevision = Number.MAX_SAFE_INTEGER;

const ticksPerMs = 10_000;
const ticksPerMsDigits = '0000';
const keyType = Buffer.from('type');
const keyContentType = Buffer.from('content-type');
const keyCreated = Buffer.from('created');
const tombstoneBytes = Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]);

const tag = {
  id: 0x0a,
  stream: 0x12,
  revision: 0x18,
  prepare: 0x20,
  commit: 0x28,
  map: 0x32,
  metadata: 0x3a,
  data: 0x42,
};
const tagUuidString = 0x12;
const tagStreamName = 0x1a;
const tagMapKey = 0x0a;
const tagMapValue = 0x12;

function varintBytes(value: number): number {
  if (value >= tombstoneRevision) return tombstoneBytes.length;
  let bytes = 1;
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes += 1;
  return bytes;
}

function writeVarint(into: Buffer, at: number, value: number): number {
  if (value >= tombstoneRevision) return at + tombstoneBytes.copy(into, at);
  let rest = value;
  let end = at;
  while (rest >= 0x80) {
    into[end++] = (rest & 0x7f) | 0x80;
    rest = rest < 0x80000000 ? rest >>> 7 : Math.floor(rest / 0x80);
  }
  into[end++] = rest;
  return end;
}

function mapEntryBytes(key: Buffer, valueBytes: number): number {
  const body = 2 + key.length + 1 + varintBytes(valueBytes) + valueBytes;
  return 1 + varintBytes(body) + body;
}

function writeMapEntry(into: Buffer, start: number, key: Buffer, value: string, valueBytes: number): number {
  let at = start;
  into[at++] = tag.map;
  at = writeVarint(into, at, 2 + key.length + 1 + varintBytes(valueBytes) + valueBytes);
  into[at++] = tagMapKey;
  into[at++] = key.length;
  at += key.copy(into, at);
  into[at++] = tagMapValue;
  at = writeVarint(into, at, valueBytes);
  return at + into.write(value, at, 'utf8');
}

function writeBytes(into: Buffer, start: number, fieldTag: number, bytes: Uint8Array): number {
  if (bytes.length === 0) return start;
  into[start] = fieldTag;
  const at = writeVarint(into, start + 1, bytes.length);
  into.set(bytes, at);
  return at + bytes.length;
}

function fieldBytes(bytes: number): number {
  return bytes === 0 ? 0 : 1 + varintBytes(bytes) + bytes;
}

function ticksOf(createdMs: number): string {
  return createdMs === 0 ? '0' : `${createdMs}${ticksPerMsDigits}`;
}

/** Bytes the record takes on the wire; `writeRecordedEvent` writes exactly these. */
function recordedEventBytes(event: RecordedEvent): number {
  const idBytes = Buffer.byteLength(event.id);
  const nameBytes = Buffer.byteLength(event.stream);
  const identifierBytes = nameBytes === 0 ? 0 : 1 + varintBytes(nameBytes) + nameBytes;
  const uuidBytes = 1 + varintBytes(idBytes) + idBytes;
  return (
    1 +
    varintBytes(uuidBytes) +
    uuidBytes +
    1 +
    varintBytes(identifierBytes) +
    identifierBytes +
    (event.revision === 0 ? 0 : 1 + varintBytes(event.revision)) +
    2 * (1 + varintBytes(event.position)) +
    mapEntryBytes(keyType, Buffer.byteLength(event.type)) +
    mapEntryBytes(keyContentType, Buffer.byteLength(event.contentType)) +
    mapEntryBytes(keyCreated, ticksOf(event.createdMs).length) +
    fieldBytes(event.metadata.length) +
    fieldBytes(event.data.length)
  );
}

/** Writes the record into a buffer that has room for it and returns where it ends. */
export function writeRecordedEvent(into: Buffer, start: number, event: RecordedEvent): number {
  const idBytes = Buffer.byteLength(event.id);
  const nameBytes = Buffer.byteLength(event.stream);
  let at = start;
  into[at++] = tag.id;
  at = writeVarint(into, at, 1 + varintBytes(idBytes) + idBytes);
  into[at++] = tagUuidString;
  at = writeVarint(into, at, idBytes);
  at += into.write(event.id, at, 'utf8');
  into[at++] = tag.stream;
  at = writeVarint(into, at, nameBytes === 0 ? 0 : 1 + varintBytes(nameBytes) + nameBytes);
  if (nameBytes > 0) {
    into[at++] = tagStreamName;
    at = writeVarint(into, at, nameBytes);
    at += into.write(event.stream, at, 'utf8');
  }
  if (event.revision !== 0) {
    into[at++] = tag.revision;
    at = writeVarint(into, at, event.revision);
  }
  into[at++] = tag.prepare;
  at = writeVarint(into, at, event.position);
  into[at++] = tag.commit;
  at = writeVarint(into, at, event.position);
  const created = ticksOf(event.createdMs);
  at = writeMapEntry(into, at, keyContentType, event.contentType, Buffer.byteLength(event.contentType));
  at = writeMapEntry(into, at, keyCreated, created, created.length);
  at = writeMapEntry(into, at, keyType, event.type, Buffer.byteLength(event.type));
  at = writeBytes(into, at, tag.metadata, event.metadata);
  return writeBytes(into, at, tag.data, event.data);
}

/** The record in wire encoding, in a buffer of its own. */
export function encodeRecordedEvent(event: RecordedEvent): Uint8Array {
  const wire = Buffer.allocUnsafe(recordedEventBytes(event));
  writeRecordedEvent(wire, 0, event);
  return wire;
}

/** Reads where it stands; every step stays inside the buffer or throws RangeError. */
class Cursor {
  readonly bytes: Buffer;
  at: number;
  constructor(bytes: Buffer) {
    this.bytes = bytes;
    this.at = 0;
  }

  varint(): number {
    const first = this.bytes[this.at];
    // Tags and most lengths.
    if (first !== undefined && first < 0x80) {
      this.at += 1;
      return first;
    }
    let value = 0;
    let scale = 1;
    for (let count = 0; count < 10; count += 1) {
      const byte = this.bytes[this.at];
      if (byte === undefined) break;
      this.at += 1;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return Math.min(value, tombstoneRevision);
      scale *= 0x80;
    }
    throw new RangeError(`no varint at byte ${this.at}`);
  }

  /** Length of the field that follows; it is checked to be there. */
  length(): number {
    const length = this.varint();
    if (this.at + length > this.bytes.length) throw new RangeError(`field at byte ${this.at} ends outside`);
    return length;
  }

  text(length: number): string {
    this.at += length;
    return this.bytes.toString('utf8', this.at - length, this.at);
  }

  ascii(length: number): string {
    this.at += length;
    return this.bytes.toString('latin1', this.at - length, this.at);
  }
}

type Fields = { -readonly [Key in keyof RecordedEvent]: RecordedEvent[Key] };

const empty = new Uint8Array(0);

/** The three keys of the metadata map; any other is passed over. */
function readMapEntry(cursor: Cursor, end: number, into: Fields): void {
  let key = '';
  while (cursor.at < end) {
    const fieldTag = cursor.varint();
    const length = cursor.length();
    if (fieldTag === tagMapKey) key = cursor.ascii(length);
    else if (fieldTag !== tagMapValue) cursor.at += length;
    else if (key === 'type') into.type = cursor.text(length);
    else if (key === 'content-type') into.contentType = cursor.ascii(length);
    else if (key === 'created') into.createdMs = Math.floor(Number(cursor.ascii(length)) / ticksPerMs);
    else cursor.at += length;
  }
}

/** The one string of an embedded message that has just one: UUID.string, StreamIdentifier.stream_name. */
function readInner(cursor: Cursor, wanted: number): string {
  const end = cursor.length() + cursor.at;
  let value = '';
  while (cursor.at < end) {
    const fieldTag = cursor.varint();
    const length = cursor.length();
    if (fieldTag === wanted) value = cursor.text(length);
    else cursor.at += length;
  }
  return value;
}

function readFields(wire: Uint8Array, into: Fields): void {
  const bytes = Buffer.isBuffer(wire) ? wire : Buffer.from(wire.buffer, wire.byteOffset, wire.byteLength);
  const cursor = new Cursor(bytes);
  while (cursor.at < bytes.length) {
    const fieldTag = cursor.varint();
    if (fieldTag === tag.id) into.id = readInner(cursor, tagUuidString);
    else if (fieldTag === tag.stream) into.stream = readInner(cursor, tagStreamName);
    else if (fieldTag === tag.revision) into.revision = cursor.varint();
    else if (fieldTag === tag.prepare) cursor.varint();
    else if (fieldTag === tag.commit) into.position = cursor.varint();
    else if (fieldTag === tag.map) readMapEntry(cursor, cursor.length() + cursor.at, into);
    else if (fieldTag === tag.metadata || fieldTag === tag.data) {
      const length = cursor.length();
      const part = bytes.subarray(cursor.at, cursor.at + length);
      if (fieldTag === tag.data) into.data = part;
      else into.metadata = part;
      cursor.at += length;
    } else throw new RangeError(`field tag ${fieldTag} is none of a record`);
  }
}

/**
 * The parts of a record. `data` and `metadata` are views into `wire`.
 * Throws RangeError where the bytes are no record that `encodeRecordedEvent` could have written.
 */
export function decodeRecordedEvent(wire: Uint8Array): RecordedEvent {
  const fields: Fields = {
    id: '',
    stream: '',
    revision: 0,
    position: 0,
    type: '',
    contentType: '',
    createdMs: 0,
    data: empty,
    metadata: empty,
  };
  readFields(wire, fields);
  return fields;
}

/**
 * Only what an index needs: this log writes these fields first, so the rest is not looked at.
 * Throws RangeError like `decodeRecordedEvent`.
 */
export function decodeRecordedPlace(wire: Buffer): { stream: string; revision: number; position: number } {
  const cursor = new Cursor(wire);
  let stream = '';
  let revision = 0;
  while (cursor.at < wire.length) {
    const fieldTag = cursor.varint();
    if (fieldTag === tag.commit) return { stream, revision, position: cursor.varint() };
    if (fieldTag === tag.stream) stream = readInner(cursor, tagStreamName);
    else if (fieldTag === tag.revision) revision = cursor.varint();
    else if (fieldTag === tag.prepare) cursor.varint();
    else {
      const length = cursor.length();
      cursor.at += length;
    }
  }
  throw new RangeError('a record without a commit position');
}

/**
 * A stored record as it lies on the disk. Most readers only hand its bytes on, so names, ids and times are read from them
 * when they are asked for. Throws RangeError like `decodeRecordedEvent`.
 */
export class WireRecord {
  readonly wire: Buffer;
  readonly position: number = 0;
  readonly revision: number = 0;
  #streamAt = 0;
  #streamEnd = 0;
  #stream: string | undefined;
  #event: RecordedEvent | undefined;

  constructor(wire: Buffer) {
    this.wire = wire;
    const cursor = new Cursor(wire);
    while (cursor.at < wire.length) {
      const fieldTag = cursor.varint();
      if (fieldTag === tag.commit) {
        this.position = cursor.varint();
        return;
      }
      if (fieldTag === tag.revision) this.revision = cursor.varint();
      else if (fieldTag === tag.prepare) cursor.varint();
      else {
        const length = cursor.length();
        if (fieldTag === tag.stream) {
          this.#streamAt = cursor.at;
          this.#streamEnd = cursor.at + length;
        }
        cursor.at += length;
      }
    }
    throw new RangeError('a record without a commit position');
  }

  /** Whether this is a record of the stream with this identifier, see `streamIdentifier`. */
  isOf(identifier: Buffer): boolean {
    if (identifier.length !== this.#streamEnd - this.#streamAt) return false;
    // Asked of every record of a stream that is read: a loop over so few bytes costs less than a call out of JavaScript.
    for (let i = 0; i < identifier.length; i += 1) {
      if (identifier[i] !== this.wire[this.#streamAt + i]) return false;
    }
    return true;
  }

  get stream(): string {
    if (this.#event !== undefined) return this.#event.stream;
    if (this.#stream === undefined) {
      const cursor = new Cursor(this.wire.subarray(0, this.#streamEnd));
      cursor.at = this.#streamAt;
      this.#stream = '';
      while (cursor.at < this.#streamEnd) {
        const fieldTag = cursor.varint();
        const length = cursor.length();
        if (fieldTag === tagStreamName) this.#stream = cursor.text(length);
        else cursor.at += length;
      }
    }
    return this.#stream;
  }

  get id(): string {
    return this.#whole.id;
  }

  get type(): string {
    return this.#whole.type;
  }

  get createdMs(): number {
    return this.#whole.createdMs;
  }

  get #whole(): RecordedEvent {
    this.#event ??= decodeRecordedEvent(this.wire);
    return this.#event;
  }
}

/** The bytes by which a record names its stream. */
export function streamIdentifier(stream: string): Buffer {
  const name = Buffer.from(stream);
  if (name.length === 0) return name;
  const into = Buffer.alloc(1 + varintBytes(name.length) + name.length);
  into[0] = tagStreamName;
  name.copy(into, writeVarint(into, 1, name.length));
  return into;
}
