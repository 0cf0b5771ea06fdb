/** Jobs in the process, for a machine without Redis. What is lost with the process, the sweep of the next start finds again. */
import { type Effect, Shutdown } from './effect.ts';
import type { JobQueue, QueueLog } from './queue.ts';
import type { Job } from './reaction.ts';

const waitingMax = 10_000;
const attemptsMax = 5;
const backoffMs = 1_000;
const closeMsMax = 8_000;

type Lane = { readonly effect: Effect; readonly atOnce: number; readonly waiting: Job[]; running: number };

export function inlineQueue(effects: readonly Effect[], log: QueueLog): JobQueue {
  const lanes = new Map<string, Lane>();
  for (const effect of effects) {
    if (effect.atOnce === 'inOrder') continue;
    lanes.set(effect.name, { effect, atOnce: effect.atOnce, waiting: [], running: 0 });
  }
  const known = new Map<string, AbortController>();
  const running = new Set<Promise<void>>();
  let closing = false;

  const pump = (lane: Lane) => {
    while (!closing && lane.running < lane.atOnce) {
      const job = lane.waiting.shift();
      if (job === undefined) return;
      const aborter = known.get(job.id);
      if (aborter === undefined) continue;
      lane.running += 1;
      const done = runWithRetries(lane.effect, job, aborter.signal, log).finally(() => {
        known.delete(job.id);
        running.delete(done);
        lane.running -= 1;
        pump(lane);
      });
      running.add(done);
    }
  };

  return {
    async add(job) {
      const lane = lanes.get(job.effect);
      if (lane === undefined) throw new Error(`no effect ${job.effect}`);
      if (closing || known.has(job.id)) return;
      if (lane.waiting.length >= waitingMax) {
        log.warn({ job: job.id }, 'too many jobs wait; the sweep will find this one again');
        return;
      }
      known.set(job.id, new AbortController());
      lane.waiting.push(job);
      pump(lane);
    },
    cancel(id, reason) {
      known.get(id)?.abort(reason);
    },
    async close() {
      closing = true;
      for (const aborter of known.values()) aborter.abort(new Shutdown());
      const all = Promise.allSettled(running);
      await Promise.race([all, new Promise(resolve => setTimeout(resolve, closeMsMax).unref())]);
    },
  };
}

async function runWithRetries(effect: Effect, job: Job, signal: AbortSignal, log: QueueLog): Promise<void> {
  for (let attempt = 1; attempt <= attemptsMax && !signal.aborted; attempt += 1) {
    try {
      await effect.run(job.data, signal);
      return;
    } catch (error) {
      if (signal.aborted) return;
      log.warn({ err: error, job: job.id, attempt }, 'a job failed');
      if (attempt < attemptsMax) await pause(backoffMs * 2 ** (attempt - 1), signal);
    }
  }
}

/** Waits, or until the signal aborts. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    if (signal.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done);
  });
}
