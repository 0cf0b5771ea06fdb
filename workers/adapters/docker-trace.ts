/**
 * BuildKit tells of a build in messages of its own (`moby.buildkit.trace`): the `StatusResponse` of its control API, as Protocol
 * Buffers. Of those few fields are read, by hand.
 */

/** A step: of the Dockerfile, or one that BuildKit makes of it. Told again whenever something of it changes. */
export type Vertex = {
  readonly digest: string;
  readonly name: string;
  readonly isCached: boolean;
  readonly isStarted: boolean;
  readonly isCompleted: boolean;
  readonly error: string;
};

export type Trace = {
  readonly vertexes: readonly Vertex[];
  /** Output of steps; a part may end inside a line, and inside a character. */
  readonly logs: readonly { readonly vertex: string; readonly bytes: Uint8Array }[];
  readonly warnings: readonly string[];
};

/** Throws RangeError for bytes that are no message. */
export function readTrace(base64: string): Trace {
  const trace: { vertexes: Vertex[]; logs: { vertex: string; bytes: Uint8Array }[]; warnings: string[] } = {
    vertexes: [],
    logs: [],
    warnings: [],
  };
  for (const [field, bytes] of messagesIn(Buffer.from(base64, 'base64'))) {
    const fields = new Map(fieldsIn(bytes));
    const text = (number: number) => textOf(fields.get(number));
    if (field === 1) {
      trace.vertexes.push({
        digest: text(1),
        name: text(3),
        isCached: fields.get(4) === 1n,
        isStarted: fields.has(5),
        isCompleted: fields.has(6),
        error: text(7),
      });
    }
    const output = fields.get(4);
    if (field === 3 && typeof output === 'object') trace.logs.push({ vertex: text(1), bytes: output });
    if (field === 4) trace.warnings.push(text(3));
  }
  return trace;
}

const decoder = new TextDecoder();
const textOf = (value: bigint | Uint8Array | undefined) =>
  typeof value === 'object' ? decoder.decode(value) : '';

function* messagesIn(bytes: Uint8Array): Iterable<[number, Uint8Array]> {
  for (const [field, value] of fieldsIn(bytes)) if (typeof value === 'object') yield [field, value];
}

/** The fields of a message in their order: numbers, and what has a length. */
export function* fieldsIn(bytes: Uint8Array): Iterable<[number, bigint | Uint8Array]> {
  let at = 0;
  const varint = () => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at];
      if (byte === undefined || shift > 63n) throw new RangeError('a message of BuildKit is cut off');
      at += 1;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < bytes.length) {
    const tag = Number(varint());
    const [field, type] = [tag >>> 3, tag & 7];
    if (type === 0) yield [field, varint()];
    else {
      const length = type === 2 ? Number(varint()) : type === 1 ? 8 : type === 5 ? 4 : Number.NaN;
      if (!(at + length <= bytes.length)) throw new RangeError('a message of BuildKit is cut off');
      const value = bytes.subarray(at, at + length);
      at += length;
      if (type === 2) yield [field, value];
    }
  }
}

/** A field that has a length, as it is sent. */
export function fieldOf(number: number, value: Uint8Array): Buffer {
  return Buffer.concat([varintOf((number << 3) | 2), varintOf(value.length), value]);
}

function varintOf(value: number): Buffer {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Buffer.from([...bytes, rest]);
    bytes.push((rest % 128) | 0x80);
  }
}
