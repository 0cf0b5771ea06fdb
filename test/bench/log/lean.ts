/**
 * The log through a client that does next to nothing: appends are copies of one encoded message with other ids, and of answers
 * only the lengths and outcomes are looked at. What it measures is the server's own limit.
 */
import { type ClientHttp2Session, type ClientHttp2Stream, connect } from 'node:http2';
import { empty } from '../../../eventstore/embedded/codec.ts';
import {
  batchAppendRequest,
  batchAppendResponse,
  readRequest,
} from '../../../eventstore/embedded/codec-streams.ts';
import { batchEvents, eventData, eventsPerSecond, type System } from './system.ts';

const idDigits = 12;
const idAt = 24;
const windowBytes = 16 << 20;
const countMax = 2 ** 40;

function request(session: ClientHttp2Session, method: string): ClientHttp2Stream {
  const path = `/event_store.client.streams.Streams/${method}`;
  return session.request({
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc',
    te: 'trailers',
  });
}

/** Calls back with each message of an answer; views into the chunks. */
function onMessages(stream: ClientHttp2Stream, message: (bytes: Buffer) => void): void {
  let rest: Buffer = Buffer.alloc(0);
  stream.on('data', (chunk: Buffer) => {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let at = 0;
    while (bytes.length - at >= 5) {
      const end = at + 5 + bytes.readUInt32BE(at + 1);
      if (end > bytes.length) break;
      message(bytes.subarray(at + 5, end));
      at = end;
    }
    rest = bytes.subarray(at);
  });
}

/** One append, encoded once; `next` gives a copy with ids that no other has. */
class Template {
  readonly #bytes: Buffer;
  readonly #idsAt: number[] = [];
  #made = 0;

  constructor(stream: string, events: number, run: string) {
    const ids = Array.from(
      { length: events + 1 },
      (_, n) => `00000000-0000-4000-8${run}-${`${n}`.padStart(idDigits, 'f')}`,
    );
    const metadata = new Map([
      ['type', 'Measured'],
      ['content-type', 'application/json'],
    ]);
    const data = Buffer.from(JSON.stringify(eventData));
    const proposed = ids.slice(1).map(text => ({ id: { text }, metadata, custom: Buffer.alloc(0), data }));
    this.#bytes = batchAppendRequest.frame({
      correlation: { text: ids[0] ?? '' },
      options: { stream: { name: stream }, any: empty.decode(Buffer.alloc(0)) },
      proposed,
      isFinal: true,
    });
    for (const id of ids) this.#idsAt.push(this.#bytes.indexOf(id) + idAt);
  }

  next(): Buffer {
    const copy = Buffer.from(this.#bytes);
    for (const at of this.#idsAt) {
      this.#made += 1;
      copy.write(this.#made.toString(16).padStart(idDigits, '0'), at, 'latin1');
    }
    return copy;
  }
}

export type Lean = System & {
  /** Events a second of so many events of `$all`. */
  readAll(from: number, count: number): Promise<number>;
  readAny(stream: string): Promise<number>;
};

export async function openLean(port: number, run: string): Promise<Lean> {
  const session = connect(`http://127.0.0.1:${port}`, { settings: { initialWindowSize: windowBytes } });
  await new Promise(resolve => session.once('connect', resolve));
  session.setLocalWindowSize(windowBytes);
  const appends = request(session, 'BatchAppend');
  // Nothing tells one answer from another: the one who has waited longest gets it.
  const waiting: { resolve(): void; reject(error: Error): void }[] = [];
  let first = 0;
  onMessages(appends, bytes => {
    const one = waiting[first++];
    if (first > 4_096) first -= waiting.splice(0, first).length;
    // The correlation id, 40 bytes with its tags, comes first; then either an error (field 2) or success (field 3).
    if (bytes[40] === 0x1a) one?.resolve();
    else one?.reject(new Error(`refused: ${JSON.stringify(batchAppendResponse.decode(bytes).error)}`));
  });
  const send = (frame: Buffer) =>
    new Promise<void>((resolve, reject) => {
      waiting.push({ resolve, reject });
      appends.write(frame);
    });
  const singles = new Map<number, Template>();
  const long = `lean-long-${run}`;
  const many = new Map<number, Template>();
  const templateOf = (known: Map<number, Template>, writer: number, make: () => Template) => {
    const template = known.get(writer) ?? make();
    known.set(writer, template);
    return template;
  };
  const read = (options: NonNullable<Parameters<typeof readRequest.frame>[0]['options']>, count = countMax) =>
    new Promise<number>((resolve, reject) => {
      const stream = request(session, 'Read');
      let events = 0;
      onMessages(stream, bytes => {
        // Field 1 is an event.
        if (bytes[0] === 0x0a) events += 1;
      });
      stream.on('end', () => resolve(events));
      stream.on('error', reject);
      stream.end(readRequest.frame({ options: { ...options, uuids: { text: {} }, count } }));
    });
  return {
    name: 'this log, lean client',
    single(writer) {
      const own = `${run}${writer.toString(16).padStart(2, '0')}`.slice(-3);
      const template = templateOf(singles, writer, () => new Template(`lean-${run}-${writer}`, 1, own));
      return send(template.next());
    },
    batch(writer) {
      const own = `f${run}${writer.toString(16)}`.slice(-3);
      const template = templateOf(many, writer, () => new Template(`${long}-${writer}`, batchEvents, own));
      return send(template.next());
    },
    catchUp: () => read({ all: { start: {} }, noFilter: {} }),
    readStream: () => read({ stream: { stream: { name: `${long}-0` }, start: {} }, noFilter: {} }),
    async readAll(from, count) {
      const position = { commit: from, prepare: from };
      return eventsPerSecond(() => read({ all: { position }, noFilter: {} }, count));
    },
    readAny: stream => read({ stream: { stream: { name: stream }, start: {} }, noFilter: {} }),
    async close() {
      appends.end();
      session.destroy();
    },
  };
}
