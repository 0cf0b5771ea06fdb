/** Where jobs wait: in Redis by BullMQ, or in the process. Neither is trusted to remember: the log and the sweep do. */
import { Queue, Worker } from 'bullmq';
import { type Effect, Shutdown } from './effect.ts';
import type { Job } from './reaction.ts';

export type QueueLog = {
  warn(detail: object, line: string): void;
};

export type JobQueue = {
  /** A job whose id waits or runs already is the same job: nothing happens. */
  add(job: Job): Promise<void>;
  /** Aborts the job's signal where it runs in this process. */
  cancel(id: string, reason: Error): void;
  /** Takes nothing more, aborts what runs with Shutdown, and waits for it a while. */
  close(): Promise<void>;
};

export type RedisConnection = { readonly url: string };

const attemptsMax = 5;
const backoffMs = 1_000;
const closeMsMax = 8_000;
const prefix = 'apphub';

/** One queue an effect, so that slow builds never stand before quick launches. */
export function redisQueue(effects: readonly Effect[], redis: RedisConnection, log: QueueLog): JobQueue {
  const running = new Map<string, AbortController>();
  const connection = { url: redis.url, maxRetriesPerRequest: null };
  const queues = new Map<string, Queue>();
  const workers: Worker[] = [];
  let closing = false;

  for (const effect of effects) {
    if (effect.atOnce === 'inOrder') continue;
    const queue = new Queue(effect.name, { connection, prefix });
    queue.on('error', error => log.warn({ err: error, effect: effect.name }, 'Redis does not answer'));
    queues.set(effect.name, queue);
    const worker = new Worker(
      effect.name,
      async job => {
        const id = String(job.id);
        const aborter = new AbortController();
        running.set(id, aborter);
        if (closing) aborter.abort(new Shutdown());
        try {
          await effect.run(job.data, aborter.signal);
        } finally {
          running.delete(id);
        }
      },
      { connection, prefix, concurrency: effect.atOnce },
    );
    worker.on('failed', (job, error) => log.warn({ err: error, job: job?.id }, 'a job failed'));
    worker.on('error', error => log.warn({ err: error, effect: effect.name }, 'Redis does not answer'));
    workers.push(worker);
  }

  return {
    async add(job) {
      const queue = queues.get(job.effect);
      if (queue === undefined) throw new Error(`no effect ${job.effect}`);
      await queue.add(job.effect, job.data, {
        jobId: job.id,
        attempts: attemptsMax,
        backoff: { type: 'exponential', delay: backoffMs },
        // Kept jobs would keep their ids from being used again by the sweep.
        removeOnComplete: true,
        removeOnFail: true,
      });
    },
    cancel(id, reason) {
      running.get(id)?.abort(reason);
    },
    async close() {
      closing = true;
      for (const aborter of running.values()) aborter.abort(new Shutdown());
      const all = Promise.allSettled(workers.map(worker => worker.close()));
      await Promise.race([all, new Promise(resolve => setTimeout(resolve, closeMsMax).unref())]);
      await Promise.allSettled([...queues.values()].map(queue => queue.close()));
    },
  };
}
