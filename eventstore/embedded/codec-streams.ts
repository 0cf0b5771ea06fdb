/** The messages of event_store.client.streams and of what it shares, by their field numbers. */
import { bool, bytes, empty, int, map, maybe, message, nested, repeated, string, uint } from './codec.ts';

export const uuid = message({ structured: maybe(bytes(1)), text: maybe(string(2)) });
export const streamIdentifier = message({ name: string(3) });
export const logPosition = message({ commit: uint(1), prepare: uint(2) });

const expectedRevision = {
  revision: maybe(uint(2)),
  noStream: nested(3, empty),
  any: nested(4, empty),
  streamExists: nested(5, empty),
};

const proposed = message({ id: nested(1, uuid), metadata: map(2), custom: bytes(3), data: bytes(4) });
const appendOptions = message({ stream: nested(1, streamIdentifier), ...expectedRevision });
export const appendRequest = message({ options: nested(1, appendOptions), proposed: nested(2, proposed) });

const timestamp = message({ seconds: int(1), nanos: int(2) });
const batchOptions = message({
  stream: nested(1, streamIdentifier),
  ...expectedRevision,
  deadline: nested(6, timestamp),
  timeout: nested(7, timestamp),
});
export const batchAppendRequest = message({
  correlation: nested(1, uuid),
  options: nested(2, batchOptions),
  proposed: repeated(nested(3, proposed)),
  isFinal: bool(4),
});

export const appendResponse = message({
  success: nested(
    1,
    message({
      revision: maybe(uint(1)),
      noStream: nested(2, empty),
      position: nested(3, logPosition),
      noPosition: nested(4, empty),
    }),
  ),
  wrongExpectedVersion: nested(
    2,
    message({
      revisionOld: maybe(uint(1)),
      noStreamOld: nested(2, empty),
      expectedOld: maybe(uint(3)),
      anyOld: nested(4, empty),
      existsOld: nested(5, empty),
      revision: maybe(uint(6)),
      noStream: nested(7, empty),
      expected: maybe(uint(8)),
      expectedAny: nested(9, empty),
      expectedExists: nested(10, empty),
      expectedNoStream: nested(11, empty),
    }),
  ),
});

const anyMessage = message({ typeUrl: string(1), value: bytes(2) });
const rpcStatus = message({ code: uint(1), message: string(2), details: nested(3, anyMessage) });
export const batchAppendResponse = message({
  correlation: nested(1, uuid),
  error: nested(2, rpcStatus),
  success: nested(
    3,
    message({
      revision: maybe(uint(1)),
      noStream: nested(2, empty),
      position: nested(3, logPosition),
      noPosition: nested(4, empty),
    }),
  ),
  stream: nested(4, streamIdentifier),
  revision: maybe(uint(5)),
  noStream: nested(6, empty),
  any: nested(7, empty),
  streamExists: nested(8, empty),
});

/** Details of a failed batch append: event_store.client.WrongExpectedVersion and its like. */
export const wrongExpectedVersion = message({
  revision: maybe(uint(1)),
  noStream: nested(2, empty),
  expected: maybe(uint(3)),
  expectedAny: nested(4, empty),
  expectedExists: nested(5, empty),
  expectedNoStream: nested(6, empty),
});
export const streamDeleted = message({ stream: nested(1, streamIdentifier) });
export const maximumAppendSizeExceeded = message({ bytesMax: uint(1) });

export const deleteRequest = message({
  options: nested(1, message({ stream: nested(1, streamIdentifier), ...expectedRevision })),
});
export const deleteResponse = message({ position: nested(1, logPosition), noPosition: nested(2, empty) });

const expression = message({ regex: string(1), prefixes: repeated(string(2)) });
export const filterOptions = message({
  stream: nested(1, expression),
  eventType: nested(2, expression),
  window: maybe(uint(3)),
  count: nested(4, empty),
  checkpointInterval: uint(5),
});
export const readRequest = message({
  options: nested(
    1,
    message({
      stream: nested(
        1,
        message({
          stream: nested(1, streamIdentifier),
          revision: maybe(uint(2)),
          start: nested(3, empty),
          end: nested(4, empty),
        }),
      ),
      all: nested(
        2,
        message({ position: nested(1, logPosition), start: nested(2, empty), end: nested(3, empty) }),
      ),
      direction: uint(3),
      resolveLinks: bool(4),
      count: maybe(uint(5)),
      subscription: nested(6, empty),
      filter: nested(7, filterOptions),
      noFilter: nested(8, empty),
      uuids: nested(9, message({ structured: nested(1, empty), text: nested(2, empty) })),
      control: nested(10, message({ compatibility: uint(1) })),
    }),
  ),
});
/** All answers to a read but events, which are put together by hand from their stored form. */
export const readResponse = message({
  confirmation: nested(2, message({ id: string(1) })),
  checkpoint: nested(3, logPosition),
  streamNotFound: nested(4, message({ stream: nested(1, streamIdentifier) })),
  firstRevision: maybe(uint(5)),
  lastRevision: maybe(uint(6)),
  lastPosition: nested(7, logPosition),
  caughtUp: nested(8, empty),
  fellBehind: nested(9, empty),
});

type Uuid = { readonly structured: Buffer | undefined; readonly text: string | undefined };
const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** The UUID in lower-case text, from either of its two forms on the wire; undefined when it is none. */
export function uuidText(id: Uuid | undefined): string | undefined {
  if (id?.structured !== undefined) return halvesText(id.structured);
  const text = id?.text?.toLowerCase();
  return text !== undefined && uuidPattern.test(text) ? text : undefined;
}

/** Two int64 (fields 1 and 2), most significant bits first: read exactly, which a number could not. */
function halvesText(halves: Buffer): string {
  const values = [0n, 0n, 0n];
  for (let at = 0; at < halves.length; ) {
    const field = (halves[at++] as number) >> 3;
    let value = 0n;
    for (let shift = 0n; at < halves.length; shift += 7n) {
      const byte = halves[at++] as number;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    values[field] = BigInt.asUintN(64, value);
  }
  const hex = [1, 2].map(n => (values[n] ?? 0n).toString(16).padStart(16, '0')).join('');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
