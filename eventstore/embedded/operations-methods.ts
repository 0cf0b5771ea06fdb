/** Operations as a service: scavenge and shutdown. What only a cluster needs is answered by a sentence. */
import { randomUUID } from 'node:crypto';
import { empty, int, message, nested, string, uint } from './codec.ts';
import type { EventLog } from './log.ts';
import { InvalidRequest } from './log-errors.ts';
import { scavengeRule } from './log-scavenge.ts';
import { jsonRecord } from './persistent-notes.ts';
import type { PersistentSubscriptions } from './persistent-subscriptions.ts';
import type { Access } from './server-access.ts';
import { type Method, unary } from './server-call.ts';
import { CallFailed, status } from './server-status.ts';
import { opsGroup } from './users.ts';

const startRequest = message({ options: nested(1, message({ threads: int(1), fromChunk: int(2) })) });
const stopRequest = message({ options: nested(1, message({ id: string(1) })) });
const scavengeResponse = message({ id: string(1), result: uint(2) });
const result = { started: 0, inProgress: 1, stopped: 2 } as const;
/** Where it is told what a scavenge has won. */
const historyStream = '$scavenges';

type Running = { readonly id: string; readonly aborter: AbortController; readonly done: Promise<void> };

/** One scavenge at a time. */
export class Scavenges {
  readonly #log: EventLog;
  readonly #onError: (error: unknown) => void;
  #running: Running | undefined;

  constructor(log: EventLog, onError: (error: unknown) => void) {
    this.#log = log;
    this.#onError = onError;
  }

  start(): { id: string; result: number } {
    if (this.#running !== undefined) return { id: this.#running.id, result: result.inProgress };
    const id = randomUUID();
    const aborter = new AbortController();
    const done = this.#run(id, aborter.signal).catch(this.#onError);
    this.#running = { id, aborter, done };
    void done.then(() => {
      this.#running = undefined;
    });
    return { id, result: result.started };
  }

  async #run(id: string, signal: AbortSignal): Promise<void> {
    await this.#note('$scavengeStarted', { scavengeId: id });
    const startedMs = Date.now();
    const note = (outcome: string, more: object) =>
      this.#note('$scavengeCompleted', {
        scavengeId: id,
        result: outcome,
        timeTakenMs: Date.now() - startedMs,
        ...more,
      });
    try {
      const keep = await scavengeRule(this.#log, startedMs, signal);
      const { bytesFreed, records } = await this.#log.storage.scavenge(keep, signal);
      await note('Success', { spaceReclaimed: bytesFreed, records });
    } catch (error) {
      if (!signal.aborted) this.#onError(error);
      await note(signal.aborted ? 'Stopped' : 'Failed', { error: String(error) });
    }
  }

  async #note(type: string, value: object): Promise<void> {
    await this.#log.append(historyStream, 'any', [jsonRecord(type, value)]);
  }

  /** Throws the failure that clients know when no such scavenge runs. */
  async stop(id: string): Promise<{ id: string; result: number }> {
    const running = this.#running;
    if (running === undefined || running.id !== id) {
      const trailers = { exception: 'scavenge-not-found', 'scavenge-id': id };
      throw new CallFailed(status.notFound, `Scavenge '${id}' is not running.`, trailers);
    }
    await this.close();
    return { id, result: result.stopped };
  }

  async close(): Promise<void> {
    this.#running?.aborter.abort();
    await this.#running?.done;
  }
}

export type OperationsOptions = {
  readonly scavenges: Scavenges;
  readonly subscriptions: PersistentSubscriptions;
  readonly access: Access;
  /** Undefined: the log ends with the program that it is a part of. */
  readonly onShutdown: (() => void) | undefined;
};

/** Every method by its path. */
export function operationsMethods(options: OperationsOptions): [string, Method][] {
  const { scavenges, subscriptions, access, onShutdown } = options;
  const asking =
    (method: Method): Method =>
    call => {
      access.checkAdmin(call.caller, opsGroup);
      return method(call);
    };
  const methods: Readonly<Record<string, Method>> = {
    StartScavenge: unary(startRequest, scavengeResponse, async ({ options: asked }) => {
      const { threads = 1, fromChunk = 0 } = asked ?? {};
      if (threads < 0 || fromChunk < 0) throw new InvalidRequest('Threads and chunks are not negative.');
      return scavenges.start();
    }),
    StopScavenge: unary(stopRequest, scavengeResponse, ({ options: asked }) =>
      scavenges.stop(asked?.id ?? ''),
    ),
    Shutdown: unary(empty, empty, async () => {
      if (onShutdown === undefined) {
        const message = 'This log is part of a program, and ends with it.';
        throw new CallFailed(status.failedPrecondition, message);
      }
      // After the answer.
      setImmediate(onShutdown);
      return {};
    }),
    // Indexes are merged by nobody: each segment has its own.
    MergeIndexes: unary(empty, empty, async () => ({})),
    RestartPersistentSubscriptions: unary(empty, empty, async () => {
      await subscriptions.restart();
      return {};
    }),
  };
  return Object.entries(methods).map(([name, method]) => [
    `/event_store.client.operations.Operations/${name}`,
    asking(method),
  ]);
}
