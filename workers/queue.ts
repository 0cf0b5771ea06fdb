/** Where jobs wait: in Redis by BullMQ, or in the process. Neither is trusted to remember: the log and the sweep do. */
import { Queue, Worker } from 'bullmq';
import { type Effect, Shutdown } from './effect.ts';
import type { Job } from './reaction.ts';

export type QueueLog = {
  warn(detail: object, line: string): void;
  error(detail: object, line: string): void;
};

export type JobQueue = {
  /** A job whose id waits or runs already is the same job: nothing happens. Rejects with QueueUnavailable. */
  add(job: Job): Promise<void>;
  /** Aborts the job's signal where it runs in this process. */
  cancel(id: string, reason: Error): void;
  /** Takes nothing more, aborts what runs with Shutdown, and waits for it a while. */
  close(): Promise<void>;
};

/** The queue cannot be reached, or is closing. Nothing was added, or it was, which does no harm. */
export class QueueUnavailable extends Error {
  override readonly name = 'QueueUnavailable';
}

export type RedisConnection = {
  readonly url: string;
  /** How long a job stays with a process that says nothing any more, before another one gets it. */
  readonly lockMs?: number;
};

const attemptsMax = 5;
const backoffMs = 1_000;
const addMsMax = 5_000;
/** All of `close` together stays below what a process has for going down. */
const closeMsMax = 6_500;
const goodbyeMsMax = 1_000;
const lockMsDefault = 15_000;
/** How often a job may be lost by its process before it is left to the sweep. */
const stallsMax = 5;
const sayAgainMs = 60_000;
const prefix = 'apphub';

/** One queue an effect, so that slow builds never stand before quick launches. */
export function redisQueue(effects: readonly Effect[], redis: RedisConnection, log: QueueLog): JobQueue {
  const running = new Map<string, { aborter: AbortController; ended: Promise<void> }>();
  const queues = new Map<string, Queue>();
  const workers: Worker[] = [];
  const closing = Promise.withResolvers<never>();
  closing.promise.catch(() => undefined);
  let isClosing = false;
  const away = sometimes((error: Error) => log.warn({ err: error }, 'Redis does not answer'));

  const process = (effect: Effect) => async (job: { id?: string; data: Job['data'] }) => {
    const id = String(job.id);
    // Redis has forgotten that it runs here, and was told of it again.
    if (running.has(id)) return;
    const aborter = new AbortController();
    if (isClosing) aborter.abort(new Shutdown());
    const ended = effect.run(job.data, aborter.signal).finally(() => running.delete(id));
    running.set(id, { aborter, ended });
    await ended;
  };
  for (const effect of effects) {
    if (effect.atOnce === 'inOrder') continue;
    // Who adds wants to know at once that Redis is away, and tries again by itself.
    const queue = new Queue(effect.name, {
      connection: { url: redis.url, enableOfflineQueue: false },
      prefix,
    });
    queue.on('error', away);
    queues.set(effect.name, queue);
    const lockDuration = redis.lockMs ?? lockMsDefault;
    const worker = new Worker(effect.name, process(effect), {
      connection: { url: redis.url, maxRetriesPerRequest: null },
      prefix,
      concurrency: effect.atOnce,
      lockDuration,
      stalledInterval: lockDuration / 2,
      maxStalledCount: stallsMax,
    });
    worker.on('failed', (job, error) => log.warn({ err: error, job: job?.id }, 'a job failed'));
    worker.on('error', away);
    workers.push(worker);
  }

  return {
    async add(job) {
      const queue = queues.get(job.effect);
      if (queue === undefined) throw new Error(`no effect ${job.effect}`);
      const added = queue.add(job.effect, job.data, {
        jobId: job.id,
        attempts: attemptsMax,
        backoff: { type: 'exponential', delay: backoffMs },
        // Kept jobs would keep their ids from being used again by the sweep.
        removeOnComplete: true,
        removeOnFail: true,
      });
      await within(addMsMax, Promise.race([added, closing.promise])).catch(error => {
        throw new QueueUnavailable('Redis does not take the job', { cause: error });
      });
    },
    cancel(id, reason) {
      running.get(id)?.aborter.abort(reason);
    },
    async close() {
      isClosing = true;
      closing.reject(new Error('closing'));
      for (const { aborter } of running.values()) aborter.abort(new Shutdown());
      const told = Promise.allSettled(workers.map(worker => worker.pause()));
      const ended = Promise.allSettled([...running.values()].map(job => job.ended));
      await within(closeMsMax, ended).catch(() => undefined);
      // A Redis that is away hears nothing of it: from here on nobody waits for it.
      await within(goodbyeMsMax, told).catch(() => undefined);
      const gone = [
        ...workers.map(worker => worker.close(true)),
        ...[...queues.values()].map(queue => queue.disconnect()),
      ];
      await within(goodbyeMsMax, Promise.allSettled(gone)).catch(() => undefined);
    },
  };
}

/** What comes again and again is passed on once in a while. */
function sometimes<T>(say: (what: T) => void): (what: T) => void {
  let saidAt = Number.NEGATIVE_INFINITY;
  return what => {
    if (performance.now() - saidAt < sayAgainMs) return;
    saidAt = performance.now();
    say(what);
  };
}

async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${ms} ms`)), ms);
  });
  work.catch(() => undefined);
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}
