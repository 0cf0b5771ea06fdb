/**
 * Connections to apps that are kept for the next request: a client for requests without a body, which is most of them, in as
 * few steps as there can be. It understands plain HTTP/1.1 and nothing besides (RFC 9112): an answer of any other form makes
 * it let go, and whoever asked asks again by Node's own client, which knows them all.
 */
import net from 'node:net';
import type { Place } from './preview-target.ts';

export const connectMsMax = 2_000;
export const answerHeadBytesMax = 64 * 1_024;
const lookEveryMs = 1_000;
/** An app may close a connection that was idle for longer, just as the next request is on its way. In looks. */
const idleLooksMax = 3;
const freeMax = 256;
const unusedLooksMax = 60;
const chunkLineBytesMax = 1_024;

/** Who asked. All of these are called in the order in which they stand, `fail` at any time and last. */
export type Listener = {
  /** Throws where an answer cannot be passed on. */
  begin(status: number, said: string, fields: readonly string[]): void;
  /** Instead of the others, where all of it is there at once. */
  whole(status: number, said: string, fields: readonly string[], body: Buffer): void;
  /** False: no more until `resume`. */
  data(part: Buffer): boolean;
  end(): void;
  fail(error: Error): void;
};

export type Asked = {
  readonly method: string;
  readonly path: string;
  readonly fields: readonly string[];
};

/** What is asked of a request that is under way. */
export type Running = { resume(): void; abort(error: Error): void };

/** The answer is HTTP of another kind, or none. */
export class OddAnswer extends Error {}
export class ConnectTooSlow extends Error {}
class AppTooSlow extends Error {}
class HungUp extends Error {}

export class Upstream {
  readonly #place: Place;
  readonly #idleLooksMax: number;
  readonly #all = new Set<Connection>();
  readonly #free: Connection[] = [];
  /** An app of whom an odd answer was heard is asked by the other client from then on. */
  isOdd = false;
  look = 0;
  usedLook = 0;

  constructor(place: Place, answerIdleLooksMax: number) {
    this.#place = place;
    this.#idleLooksMax = answerIdleLooksMax;
  }

  ask(asked: Asked, listener: Listener): Running {
    this.usedLook = this.look;
    let connection = this.#free.pop();
    while (connection?.isClosed) connection = this.#free.pop();
    if (connection === undefined) {
      connection = new Connection(this, this.#place);
      this.#all.add(connection);
    }
    connection.send(asked, listener);
    return connection;
  }

  release(connection: Connection): void {
    if (this.#free.length < freeMax) this.#free.push(connection);
    else connection.abort(new HungUp());
  }

  forget(connection: Connection): void {
    this.#all.delete(connection);
    const at = this.#free.indexOf(connection);
    if (at >= 0) this.#free.splice(at, 1);
  }

  /** Once in a while: what has been silent for too long is over. Answers whether nothing is left to look at. */
  lookAround(): boolean {
    this.look += 1;
    for (const connection of this.#all) {
      const silent = this.look - connection.heardLook;
      if (connection.isFree && silent > idleLooksMax) connection.abort(new HungUp());
      else if (connection.isAnswering && silent > this.#idleLooksMax) connection.abort(new AppTooSlow());
    }
    return this.#all.size === 0 && this.look - this.usedLook > unusedLooksMax;
  }

  close(): void {
    for (const connection of this.#all) connection.abort(new HungUp());
  }
}

type Body = { kind: 'none' | 'chunks' } | { kind: 'length'; left: number };

class Connection {
  readonly #upstream: Upstream;
  readonly #socket: net.Socket;
  readonly #connecting: NodeJS.Timeout;
  #listener: Listener | undefined;
  #isHead = false;
  #held: Buffer | undefined;
  #body: Body | undefined;
  /** Of the chunk that is being read; -1 where a line is. */
  #chunkLeft = -1;
  #isLastChunk = false;
  #isKept = true;
  #isPaused = false;
  heardLook = 0;
  isClosed = false;

  constructor(upstream: Upstream, { host, port }: Place) {
    this.#upstream = upstream;
    this.#socket = net.connect({ host, port, noDelay: true, autoSelectFamily: false });
    this.#connecting = setTimeout(() => this.abort(new ConnectTooSlow()), connectMsMax);
    this.#socket.once('connect', () => clearTimeout(this.#connecting));
    this.#socket.on('data', part => this.#read(part));
    this.#socket.on('error', error => this.abort(error));
    this.#socket.on('close', () => this.#hangUp());
  }

  get isFree(): boolean {
    return this.#listener === undefined;
  }

  get isAnswering(): boolean {
    return this.#body !== undefined && !this.#isPaused;
  }

  send({ method, path, fields }: Asked, listener: Listener): void {
    this.#listener = listener;
    this.#isHead = method === 'HEAD';
    this.heardLook = this.#upstream.look;
    let head = `${method} ${path} HTTP/1.1\r\n`;
    for (let at = 0; at < fields.length; at += 2) head += `${fields[at]}: ${fields[at + 1]}\r\n`;
    this.#socket.write(`${head}\r\n`, 'latin1');
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.heardLook = this.#upstream.look;
    this.#socket.resume();
  }

  abort(error: Error): void {
    if (this.isClosed) return;
    this.isClosed = true;
    clearTimeout(this.#connecting);
    this.#upstream.forget(this);
    this.#socket.destroy();
    const listener = this.#listener;
    this.#listener = undefined;
    listener?.fail(error);
  }

  /** The app has ended it. Half a head is one that does not end as it should. */
  #hangUp(): void {
    const isOdd = this.#listener !== undefined && this.#body === undefined && this.#held !== undefined;
    if (isOdd) this.#upstream.isOdd = true;
    this.abort(isOdd ? new OddAnswer() : new HungUp());
  }

  #read(part: Buffer): void {
    // What nobody has asked for is not taken for an answer to what somebody asks next.
    if (this.#listener === undefined) {
      this.abort(new OddAnswer());
      return;
    }
    this.heardLook = this.#upstream.look;
    try {
      if (this.#body === undefined) this.#readHead(part);
      else this.#readBody(part);
    } catch (error) {
      if (error instanceof OddAnswer) this.#upstream.isOdd = true;
      this.abort(error as Error);
    }
  }

  #readHead(part: Buffer): void {
    const bytes = this.#held === undefined ? part : Buffer.concat([this.#held, part]);
    const end = bytes.indexOf('\r\n\r\n');
    if (end < 0 || end > answerHeadBytesMax) {
      if (bytes.length > answerHeadBytesMax) throw new OddAnswer();
      this.#held = bytes;
      return;
    }
    this.#held = undefined;
    const head = headOf(bytes.toString('latin1', 0, end));
    const { status, said, fields } = head;
    this.#isKept = head.isKept;
    const body = bodyOf(head, this.#isHead);
    const rest = bytes.subarray(end + 4);
    const isWhole =
      body.kind === 'none' ? rest.length === 0 : body.kind === 'length' && rest.length === body.left;
    if (isWhole) {
      this.#finish(listener => listener.whole(status, said, fields, rest));
      return;
    }
    this.#body = body;
    this.#listener?.begin(status, said, fields);
    this.#readBody(rest);
  }

  #readBody(bytes: Buffer): void {
    const body = this.#body;
    if (body?.kind === 'chunks') this.#readChunks(bytes);
    else this.#readCounted(bytes, body);
  }

  #readCounted(bytes: Buffer, body: Exclude<Body, { kind: 'chunks' }> | undefined): void {
    const left = body?.kind === 'length' ? body.left : 0;
    // More than was said: where the answer ends is not known for sure.
    if (bytes.length > left) this.#isKept = false;
    const part = bytes.length > left ? bytes.subarray(0, left) : bytes;
    if (body?.kind === 'length') body.left -= part.length;
    if (part.length > 0) this.#pass(part);
    if (left === part.length) this.#finish(listener => listener.end());
  }

  #readChunks(part: Buffer): void {
    let bytes = this.#held === undefined ? part : Buffer.concat([this.#held, part]);
    this.#held = undefined;
    while (bytes.length > 0) {
      if (this.#chunkLeft > 0) {
        const data = bytes.subarray(0, this.#chunkLeft);
        this.#chunkLeft -= data.length;
        bytes = bytes.subarray(data.length);
        this.#pass(data);
        continue;
      }
      const end = bytes.indexOf('\r\n');
      if (end < 0) {
        if (bytes.length > chunkLineBytesMax) throw new OddAnswer();
        this.#held = bytes;
        return;
      }
      const line = bytes.toString('latin1', 0, end);
      bytes = bytes.subarray(end + 2);
      if (this.#readLine(line)) {
        if (bytes.length > 0) this.#isKept = false;
        this.#finish(listener => listener.end());
        return;
      }
    }
  }

  /** Of a chunked body, between its chunks. Answers whether it was the last one. */
  #readLine(line: string): boolean {
    // Fields behind the last chunk end here, as those before them that are for one hop.
    if (this.#isLastChunk) return line === '';
    if (this.#chunkLeft === 0) {
      if (line !== '') throw new OddAnswer();
      this.#chunkLeft = -1;
      return false;
    }
    const [, size = ''] = /^([0-9a-fA-F]{1,8})[ \t]*(?:;[^\r\n]*)?$/.exec(line) ?? [];
    if (size === '') throw new OddAnswer();
    this.#chunkLeft = Number.parseInt(size, 16);
    this.#isLastChunk = this.#chunkLeft === 0;
    return false;
  }

  #pass(part: Buffer): void {
    if (this.#listener?.data(part) !== false) return;
    this.#isPaused = true;
    this.#socket.pause();
  }

  #finish(tell: (listener: Listener) => void): void {
    const listener = this.#listener;
    this.#listener = undefined;
    this.#body = undefined;
    this.#chunkLeft = -1;
    this.#isLastChunk = false;
    if (this.#isPaused) {
      this.#isPaused = false;
      this.#socket.resume();
    }
    if (listener !== undefined) {
      try {
        tell(listener);
      } catch (error) {
        listener.fail(error as Error);
        this.#isKept = false;
      }
    }
    if (this.#isKept && !this.isClosed) this.#upstream.release(this);
    else this.abort(new HungUp());
  }
}

type Head = {
  readonly status: number;
  readonly said: string;
  readonly fields: readonly string[];
  readonly isKept: boolean;
  readonly length: string | undefined;
  readonly coding: string | undefined;
};

/** Everything before the body, without its last two line ends. */
function headOf(text: string): Head {
  // A line that ends otherwise, a control character, or a field over several lines.
  if (/[^\t\x20-\x7e\x80-\xff\r\n]|\r(?!\n)|(?<!\r)\n|\n[ \t]/.test(text)) throw new OddAnswer();
  const [start = '', ...lines] = text.split('\r\n');
  const found = /^HTTP\/1\.1 ([2-5]\d\d)(?: (.*))?$/.exec(start);
  if (found === null) throw new OddAnswer();
  const fields: string[] = [];
  let length: string | undefined;
  let coding: string | undefined;
  let isKept = true;
  for (const line of lines) {
    const at = line.indexOf(':');
    const name = line.slice(0, at);
    const value = line.slice(at + 1).trim();
    if (at < 1) throw new OddAnswer();
    fields.push(name, value);
    // The only fields that say how long the answer is or what becomes of the connection begin with these.
    const first = name.charCodeAt(0) | 32;
    if (first !== 99 && first !== 116) continue;
    const lower = name.toLowerCase();
    if (lower.startsWith('content-length')) {
      if (length !== undefined || lower !== 'content-length') throw new OddAnswer();
      length = value;
    } else if (lower.startsWith('transfer-encoding')) {
      if (coding !== undefined || lower !== 'transfer-encoding') throw new OddAnswer();
      coding = value.toLowerCase();
    } else if (lower === 'connection') {
      isKept &&= value.toLowerCase() === 'keep-alive';
    }
  }
  return { status: Number(found[1]), said: found[2] ?? '', fields, isKept, length, coding };
}

/** How the end of the answer is known (RFC 9112 6.3), in the two ways that leave the connection good for more. */
function bodyOf({ status, length, coding }: Head, isHead: boolean): Body {
  if (length !== undefined && (coding !== undefined || !/^\d{1,15}$/.test(length))) throw new OddAnswer();
  if (isHead || status === 204 || status === 304) return { kind: 'none' };
  if (coding === 'chunked') return { kind: 'chunks' };
  if (length === undefined || coding !== undefined) throw new OddAnswer();
  return { kind: 'length', left: Number(length) };
}

export type Upstreams = {
  at(place: Place): Upstream;
  close(): void;
};

/** `answerIdleMsMax`: how long an app may pause within an answer. */
export function openUpstreams(options: { readonly answerIdleMsMax: number }): Upstreams {
  const known = new Map<string, Upstream>();
  const idleLooks = Math.ceil(options.answerIdleMsMax / lookEveryMs);
  const timer = setInterval(() => {
    for (const [place, upstream] of known) if (upstream.lookAround()) known.delete(place);
  }, lookEveryMs).unref();
  return {
    at(place) {
      const key = `${place.host} ${place.port}`;
      let found = known.get(key);
      if (found === undefined) {
        found = new Upstream(place, idleLooks);
        known.set(key, found);
      }
      return found;
    },
    close() {
      clearInterval(timer);
      for (const upstream of known.values()) upstream.close();
    },
  };
}
