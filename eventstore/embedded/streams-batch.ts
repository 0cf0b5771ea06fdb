/**
 * Streams.BatchAppend: many appends in flight on one call, each in one or more messages under a correlation id, each
 * answered exactly once (the official client falls over a second answer).
 */

import type { Codec } from './codec.ts';
import {
  batchAppendRequest,
  batchAppendResponse,
  maximumAppendSizeExceeded,
  streamDeleted,
  uuidText,
  wrongExpectedVersion,
} from './codec-streams.ts';
import type { EventLog } from './log.ts';
import {
  AccessDenied,
  AppendTooLarge,
  type Expected,
  InvalidRequest,
  StreamDeleted,
  WrongExpectedRevision,
} from './log-errors.ts';
import type { Access } from './server-access.ts';
import type { Call, Method } from './server-call.ts';
import { CallFailed, callFailure, status } from './server-status.ts';
import type { NewRecord } from './storage.ts';
import { successOf, writeOperation } from './streams-append.ts';
import { expectedOf, newRecord, streamName } from './streams-proposed.ts';

type Request = typeof batchAppendRequest extends Codec<infer T> ? T : never;

/** An append whose last message has not come yet, or which is not yet answered. */
type Open = {
  readonly correlation: string;
  readonly stream: string;
  readonly expected: Expected;
  readonly deadlineMs: number | undefined;
  readonly events: NewRecord[];
  bytes: number;
  answered: boolean;
};

/** Messages are not read while so much is unanswered: memory stays bounded whatever a client sends. */
const unansweredAppendsMax = 4_096;
const unansweredBytesMax = 32 * 1024 * 1024;
const openAppendsMax = 1_024;
const deadlineSweepMs = 250;

export function batchAppendMethod(log: EventLog, access: Access, messageBytesMax: number): Method {
  return async call => {
    const batch = new BatchCall(log, access, call, messageBytesMax);
    const sweep = setInterval(() => batch.answerLate(), deadlineSweepMs);
    try {
      for await (const messages of call.messages()) {
        for (const bytes of messages) batch.take(batchAppendRequest.decode(bytes), bytes.length);
        await batch.room();
      }
      await batch.allAnswered();
    } finally {
      clearInterval(sweep);
    }
  };
}

class BatchCall {
  readonly #log: EventLog;
  readonly #access: Access;
  readonly #call: Call;
  readonly #appendBytesMax: number;
  readonly #open = new Map<string, Open>();
  readonly #running = new Set<Open>();
  #bytes = 0;
  #changed: (() => void) | undefined;

  constructor(log: EventLog, access: Access, call: Call, appendBytesMax: number) {
    this.#log = log;
    this.#access = access;
    this.#call = call;
    this.#appendBytesMax = appendBytesMax;
  }

  take(request: Request, bytes: number): void {
    const correlation = uuidText(request.correlation);
    if (correlation === undefined) throw new InvalidRequest('The correlation id has to be a UUID.');
    const append = this.#open.get(correlation) ?? this.#begin(correlation, request);
    if (append === undefined) return;
    append.bytes += bytes;
    this.#bytes += bytes;
    if (request.isFinal) this.#open.delete(correlation);
    if (append.answered) {
      // Its other parts are of no interest any more.
      if (request.isFinal) this.#release(append);
      return;
    }
    try {
      if (append.bytes > this.#appendBytesMax) throw new AppendTooLarge(this.#appendBytesMax);
      for (const proposed of request.proposed) append.events.push(newRecord(proposed));
      if (!request.isFinal) return;
      this.#run(append);
    } catch (error) {
      this.#fail(append, error);
      if (request.isFinal) this.#release(append);
    }
  }

  #begin(correlation: string, { options, isFinal }: Request): Open | undefined {
    if (options === undefined)
      throw new InvalidRequest('The first message of an append has to have options.');
    if (this.#open.size >= openAppendsMax) {
      throw new CallFailed(status.resourceExhausted, `More than ${openAppendsMax} appends without an end.`);
    }
    const append: Open = {
      correlation,
      stream: streamName(options.stream),
      expected: expectedOf(options),
      deadlineMs: deadlineOf(options.deadline, options.timeout),
      events: [],
      bytes: 0,
      answered: false,
    };
    if (!isFinal) this.#open.set(correlation, append);
    this.#running.add(append);
    if (append.deadlineMs !== undefined && append.deadlineMs <= Date.now()) this.#fail(append, late());
    return append;
  }

  #run(append: Open): void {
    const { stream, expected, events } = append;
    let outcome: ReturnType<EventLog['append']>;
    const checked = this.#access.check(this.#call.caller, writeOperation(stream), stream);
    if (checked === undefined) outcome = this.#log.append(stream, expected, events);
    else outcome = checked.then(() => this.#log.append(stream, expected, events));
    outcome
      .then(
        done => this.#answer(append, { success: successOf(done) }),
        error => this.#fail(append, error),
      )
      .finally(() => this.#release(append));
  }

  #answer(append: Open, answer: Parameters<typeof batchAppendResponse.frame>[0]): void {
    if (append.answered) return;
    append.answered = true;
    append.events.length = 0;
    const { correlation, stream, expected } = append;
    this.#call.sendSoon(
      batchAppendResponse.frame({
        ...answer,
        correlation: { text: correlation },
        stream: { name: stream },
        ...(typeof expected === 'number' ? { revision: expected } : { [expected]: {} }),
      }),
    );
  }

  #fail(append: Open, error: unknown): void {
    this.#answer(append, { error: statusOf(error) });
  }

  #release(append: Open): void {
    this.#running.delete(append);
    this.#bytes -= append.bytes;
    append.bytes = 0;
    this.#changed?.();
  }

  /** Answers what has passed its deadline; whether it is stored in the end is open, as it is for any timeout. */
  answerLate(): void {
    const nowMs = Date.now();
    for (const append of this.#running) {
      if (append.deadlineMs !== undefined && append.deadlineMs <= nowMs) this.#fail(append, late());
    }
  }

  async #until(met: () => boolean): Promise<void> {
    while (!met() && !this.#call.signal.aborted) {
      const changed = Promise.withResolvers<void>();
      this.#changed = changed.resolve;
      this.#call.signal.addEventListener('abort', () => changed.resolve(), { once: true });
      await changed.promise;
    }
  }

  async room(): Promise<void> {
    const hasRoom = () =>
      this.#running.size - this.#open.size < unansweredAppendsMax && this.#bytes < unansweredBytesMax;
    // What is still open can only end when more is read, so it alone must not stop the reading.
    if (!hasRoom()) await this.#until(() => hasRoom() || this.#running.size === this.#open.size);
    await this.#call.drained();
  }

  allAnswered(): Promise<void> {
    return this.#until(() => this.#running.size === this.#open.size);
  }
}

type Span = { readonly seconds: number; readonly nanos: number } | undefined;

function deadlineOf(at: Span, within: Span): number | undefined {
  if (at !== undefined) return at.seconds * 1_000 + at.nanos / 1e6;
  return within === undefined ? undefined : Date.now() + within.seconds * 1_000 + within.nanos / 1e6;
}

const late = () => new CallFailed(status.deadlineExceeded, 'Timeout');

/** google.rpc.Status with the details that clients look for. */
function statusOf(error: unknown) {
  const { code, message } = callFailure(error);
  const details = (name: string, value: Buffer) => ({
    typeUrl: `type.googleapis.com/event_store.client.${name}`,
    value,
  });
  if (error instanceof WrongExpectedRevision) {
    const { actual, expected } = error;
    const value = wrongExpectedVersion.encode({
      ...(actual === undefined ? { noStream: {} } : { revision: actual }),
      ...(typeof expected === 'number' ? { expected } : {}),
      ...(expected === 'any' ? { expectedAny: {} } : {}),
      ...(expected === 'streamExists' ? { expectedExists: {} } : {}),
      ...(expected === 'noStream' ? { expectedNoStream: {} } : {}),
    });
    return { code: status.alreadyExists, message, details: details('WrongExpectedVersion', value) };
  }
  if (error instanceof StreamDeleted) {
    const value = streamDeleted.encode({ stream: { name: error.stream } });
    return { code: status.notFound, message, details: details('StreamDeleted', value) };
  }
  if (error instanceof AppendTooLarge) {
    const value = maximumAppendSizeExceeded.encode({ bytesMax: error.bytesMax });
    return { code, message, details: details('MaximumAppendSizeExceeded', value) };
  }
  const nothing = Buffer.alloc(0);
  if (error instanceof AccessDenied) return { code, message, details: details('AccessDenied', nothing) };
  if (code === status.deadlineExceeded) return { code, message, details: details('Timeout', nothing) };
  // Clients tell the message only where they do not know the type: a full disk should be named.
  return { code, message, details: { typeUrl: 'type.googleapis.com/google.rpc.ErrorInfo', value: nothing } };
}
