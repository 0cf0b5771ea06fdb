/** An effect for tests of queues: it notes the key of what it runs, and runs until it is told to end or its signal aborts. */
import type { Effect } from '../../workers/effect.ts';
import type { Job } from '../../workers/reaction.ts';

export type HoldingEffect = {
  readonly effect: Effect;
  /** Every key ever begun, in order. */
  readonly begun: string[];
  /** What runs now, by key. */
  readonly running: Map<string, { end(): void; fail(error: Error): void; signal: AbortSignal }>;
  end(key: string): void;
};

export function holdingEffect(name: string, atOnce: Effect['atOnce']): HoldingEffect {
  const begun: HoldingEffect['begun'] = [];
  const running: HoldingEffect['running'] = new Map();
  const effect: Effect = {
    name,
    atOnce,
    run(data, signal) {
      const key = String(data.key);
      begun.push(key);
      return new Promise((resolve, reject) => {
        const end = () => {
          running.delete(key);
          resolve();
        };
        const fail = (error: Error) => {
          running.delete(key);
          reject(error);
        };
        signal.addEventListener('abort', () => fail(signal.reason));
        running.set(key, { end, fail, signal });
      });
    },
  };
  return { effect, begun, running, end: key => running.get(key)?.end() };
}

export const jobOf = (effect: string, key: string): Job => ({
  effect,
  id: `${effect}.${key}`,
  data: { key },
});
