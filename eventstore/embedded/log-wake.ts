/** Wakes whoever waits for new records, of a stream or of all. Only a signal: everyone reads at a pace of his own. */
import type { Storage } from './storage.ts';

type Waiter = {
  /** Resolves when something has been stored since the last call of `next`, at once if it already has. */
  next(): Promise<void>;
};

export type Wakes = {
  /** Waits for commits (to `stream`, if one is named) until the signal aborts, which wakes a last time. */
  listen(stream: string | undefined, signal: AbortSignal): Waiter;
};

export function wakeOnCommit(storage: Storage): Wakes {
  const ofAll = new Set<() => void>();
  const ofStream = new Map<string, Set<() => void>>();

  storage.onCommit(records => {
    for (const wake of ofAll) wake();
    if (ofStream.size === 0) return;
    for (const { stream } of records) for (const wake of ofStream.get(stream) ?? []) wake();
  });

  return {
    listen(stream, signal) {
      let due = signal.aborted;
      let resume: (() => void) | undefined;
      const wake = () => {
        due = true;
        resume?.();
      };
      const listeners = stream === undefined ? ofAll : (ofStream.get(stream) ?? new Set());
      if (stream !== undefined) ofStream.set(stream, listeners);
      listeners.add(wake);
      const stop = () => {
        listeners.delete(wake);
        if (stream !== undefined && listeners.size === 0 && ofStream.get(stream) === listeners) {
          ofStream.delete(stream);
        }
        wake();
      };
      if (signal.aborted) stop();
      else signal.addEventListener('abort', stop, { once: true });
      return {
        async next() {
          if (!due) {
            await new Promise<void>(resolve => {
              resume = resolve;
            });
          }
          due = signal.aborted;
        },
      };
    },
  };
}
