/**
 * One request on its way to an app, and its answer back to the visitor: streamed both ways, each end held to its times and
 * sizes.
 */
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { BodyNotTaken, BodyTooLarge, BodyTooSlow, sendBody } from './preview-body.ts';
import { type Forwarding, forwardedFields, hasBody, returnedFields } from './preview-fields.ts';
import type { Up } from './preview-target.ts';
import {
  answerHeadBytesMax,
  ConnectTooSlow,
  connectMsMax,
  type Listener,
  type Running,
  type Upstream,
  type Upstreams,
} from './preview-upstream.ts';

/** A visitor that went on sending when the answer was complete gets so long to read it. */
const lingerMsMax = 2_000;
const oneWriteBytesMax = 16 * 1_024;

export type Times = {
  /** From the last byte of the request to the last of the answer's head. */
  readonly answerMsMax: number;
  /** Pauses of the visitor within a body, before the app has begun to answer. */
  readonly sendMsMax: number;
  /** Pauses of either side once it has. */
  readonly idleMsMax: number;
};

export type Passing = {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly target: Up;
  readonly path: string;
  readonly forwarding: Forwarding;
  readonly framedBy: string;
  readonly limits: Times & { readonly bodyBytesMax: number };
};

/**
 * How it ended. `over`: answered, or nobody waits for it any longer. Otherwise the visitor has not been answered.
 * `unreached`: the app has seen nothing of it; `lost`: perhaps it has; both may be tried again if `isRepeatable`.
 */
export type Outcome =
  | { readonly end: 'over' }
  | {
      readonly end: 'unreached' | 'lost' | 'slow' | 'sent-too-slowly' | 'too-large';
      readonly isRepeatable: boolean;
      readonly error: Error;
    };

/** What may be done twice by whoever asks (RFC 9110 9.2.2). */
const idempotent = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'PROPFIND', 'REPORT', 'SEARCH']);

/** Never rejects. `isAgain`: a connection that was kept has failed before. */
export function pass(upstreams: Upstreams, passing: Passing, isAgain: boolean): Promise<Outcome> {
  const { request, target } = passing;
  const isRepeatable = idempotent.has(request.method ?? 'GET') && !hasBody(request);
  const passage = new Passage(passing, isRepeatable);
  const upstream = upstreams.at(target);
  if (isRepeatable && !isAgain && !upstream.isOdd) passage.goKept(upstream);
  else passage.goFresh();
  return passage.done;
}

class VisitorGone extends Error {}
class AnswerTooSlow extends Error {}

class Passage implements Listener {
  readonly done: Promise<Outcome>;
  readonly #passing: Passing;
  readonly #isRepeatable: boolean;
  readonly #resolve: (outcome: Outcome) => void;
  readonly #onGone = () => this.#running?.abort(new VisitorGone());
  #running: Running | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isBodyBegun = false;
  #isOver = false;

  constructor(passing: Passing, isRepeatable: boolean) {
    this.#passing = passing;
    this.#isRepeatable = isRepeatable;
    const { promise, resolve } = Promise.withResolvers<Outcome>();
    this.done = promise;
    this.#resolve = resolve;
    passing.response.once('close', this.#onGone);
  }

  /** Over a connection that other requests went over before. */
  goKept(upstream: Upstream): void {
    const { request, path, forwarding } = this.#passing;
    const fields = forwardedFields(request, forwarding);
    this.#running = upstream.ask({ method: request.method ?? 'GET', path, fields }, this);
    this.#await();
  }

  /** Over a connection of its own. */
  goFresh(): void {
    const { request, path, forwarding, target, limits } = this.#passing;
    const { bodyBytesMax: bytesMax } = limits;
    const { method = 'GET' } = request;
    const { host, port } = target;
    const headers = forwardedFields(request, forwarding);
    const isChunked = hasBody(request) && request.headers['content-length'] === undefined;
    // Node does not frame the body of every method by itself, and the app would read it as the next request.
    if (isChunked) headers.push('transfer-encoding', 'chunked');
    const options = { host, port, method, path, headers, agent: false, setHost: false } as const;
    const outgoing = http.request({ ...options, maxHeaderSize: answerHeadBytesMax });
    this.#running = { abort: error => outgoing.destroy(error), resume: () => undefined };
    this.#wait(connectMsMax, () => new ConnectTooSlow());
    outgoing.on('error', error => this.fail(error));
    outgoing.on('response', answer => this.#receive(answer));
    outgoing.once('socket', socket =>
      socket.once('connect', () => {
        if (!hasBody(request)) return this.#await();
        clearTimeout(this.#timer);
        this.#isBodyBegun = true;
        const { response } = this.#passing;
        const pauseMsMax = () => (response.headersSent ? limits.idleMsMax : limits.sendMsMax);
        sendBody(request, outgoing, { bytesMax, pauseMsMax, takenMsMax: limits.answerMsMax }).then(
          () => this.#await(),
          error => outgoing.destroy(error),
        );
      }),
    );
    // The app may answer before there is a first part of the body.
    if (hasBody(request)) outgoing.flushHeaders();
    else outgoing.end();
  }

  whole(status: number, said: string, raw: readonly string[], body: Buffer): void {
    const { response } = this.#passing;
    this.#writeHead(status, said, raw);
    // Head and body are one text, and one write.
    if (body.length < oneWriteBytesMax) response.end(body.toString('latin1'), 'latin1');
    else response.end(body);
    this.#leave();
    this.#resolve({ end: 'over' });
  }

  data(part: Buffer): boolean {
    const { response } = this.#passing;
    if (response.write(part)) return true;
    response.once('drain', () => this.#running?.resume());
    return false;
  }

  #receive(answer: IncomingMessage): void {
    const { limits } = this.#passing;
    try {
      this.begin(answer.statusCode ?? 502, answer.statusMessage ?? '', answer.rawHeaders);
    } catch (error) {
      answer.destroy();
      this.fail(error as Error);
      return;
    }
    answer.setTimeout(limits.idleMsMax, () => answer.destroy(new AnswerTooSlow()));
    answer.on('error', error => this.fail(error));
    this.#running = { abort: error => answer.destroy(error), resume: () => answer.resume() };
    answer.on('data', part => this.data(part) || answer.pause());
    answer.on('end', () => this.end());
  }

  begin(status: number, said: string, raw: readonly string[]): void {
    this.#writeHead(status, said, raw);
    const { response } = this.#passing;
    // What of the answer has come already goes with its head; nothing waits for what has not.
    const { socket } = response;
    socket?.cork();
    response.flushHeaders();
    if (socket !== null) process.nextTick(uncork, socket);
  }

  #writeHead(status: number, said: string, raw: readonly string[]): void {
    clearTimeout(this.#timer);
    const { response, target, framedBy } = this.#passing;
    response.writeHead(status, said, returnedFields(raw, { launchId: target.launchId, framedBy }));
  }

  end(): void {
    const { request, response } = this.#passing;
    this.#leave();
    response.end();
    if (!request.complete) lingerAfter(response, request);
    this.#resolve({ end: 'over' });
  }

  fail(error: Error): void {
    this.#leave();
    const { response } = this.#passing;
    if (!(error instanceof VisitorGone || response.destroyed || response.headersSent)) {
      const end = endOf(error);
      // Nothing of a body was sent where there was no connection.
      const isRepeatable = end === 'unreached' ? !this.#isBodyBegun : this.#isRepeatable && end === 'lost';
      this.#resolve({ end, isRepeatable, error });
      return;
    }
    // Half an answer is not made to look like a whole one.
    response.destroy();
    this.#resolve({ end: 'over' });
  }

  /** The whole request is on its way: from now on the app is waited for. */
  #await(): void {
    if (!this.#isOver && !this.#passing.response.headersSent)
      this.#wait(this.#passing.limits.answerMsMax, () => new AnswerTooSlow());
  }

  #wait(msMax: number, late: () => Error): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#running?.abort(late()), msMax);
  }

  #leave(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#passing.response.removeListener('close', this.#onGone);
  }
}

type Failed = Exclude<Outcome, { end: 'over' }>['end'];

function endOf(error: Error): Failed {
  if (error instanceof BodyTooLarge) return 'too-large';
  if (error instanceof BodyTooSlow) return 'sent-too-slowly';
  if (error instanceof AnswerTooSlow || error instanceof BodyNotTaken) return 'slow';
  // No connection was made: the app is not there, or its machine is not.
  const isLate = error instanceof ConnectTooSlow;
  return isLate || ('syscall' in error && error.syscall === 'connect') ? 'unreached' : 'lost';
}

const uncork = (socket: Socket): void => socket.uncork();

/** The rest of a body that nobody wants is not read for ever; the answer must not be lost by a connection that is torn down. */
function lingerAfter(response: ServerResponse, request: IncomingMessage): void {
  response.once('finish', () => {
    request.resume();
    const timer = setTimeout(() => request.socket.destroy(), lingerMsMax);
    request.once('close', () => clearTimeout(timer));
  });
}
