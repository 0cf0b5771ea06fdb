/**
 * Visits of launches that are coming up: they wait here, none of their bodies read, until the launch runs. However many come, a
 * launch that is asleep is woken once.
 */
import type { Coming, Finder, Target } from './preview-target.ts';

const holdMsMax = 30_000;
const lookEveryMs = 1_000;
/** A launch that is still asleep so long after it was woken has gone to sleep again, or the tables are behind. */
const wakeAgainMs = 5_000;
const heldMax = 2_000;
const heldPerLaunchMax = 500;

export type HoldOptions = {
  readonly finder: Finder;
  /** Asks for a sleeping launch to be brought up. Rejects when it cannot be. */
  readonly wake: (launchId: string) => Promise<void>;
  readonly holdMsMax?: number;
};

/**
 * `late`: it did not come up in time. `full`: too many wait already. `failed`: it cannot be woken, or nobody can say. A
 * target that is still coming up is one whose new container has failed meanwhile.
 */
export type Held =
  | Target
  | undefined
  | { readonly state: 'late' | 'full' | 'failed'; readonly error?: unknown };

export type Holds = {
  /** Resolves when the launch of this name is not coming up any longer, or it is no use to wait. Never rejects. */
  wait(name: string, target: Coming, options: { msMax: number; signal: AbortSignal }): Promise<Held>;
  /** Everybody who waits is told that it is late. */
  close(): void;
};

/** Those who wait for one launch, and the one who looks for all of them. */
type Group = { readonly waiting: Set<(outcome: Held) => void> };

export function openHolds(options: HoldOptions): Holds {
  const { finder, wake } = options;
  const groups = new Map<string, Group>();
  let held = 0;
  let isClosed = false;

  const watch = async (name: string, group: Group, first: Coming): Promise<void> => {
    let outcome: Held = first;
    let woken = { atMs: Number.NEGATIVE_INFINITY, deployment: first.deployment };
    try {
      while (group.waiting.size > 0) {
        // Before it is looked at: what happens from now on is heard of.
        const moved = finder.moved(lookEveryMs);
        const target = await finder.find(name);
        outcome = target;
        if (target?.state !== 'coming') break;
        if (target.isAsleep) {
          // It was brought up by another container, which is over as well.
          if (target.deployment > woken.deployment) break;
          if (performance.now() - woken.atMs > wakeAgainMs) {
            woken = { ...woken, atMs: performance.now() };
            await wake(target.launchId);
          }
        }
        await moved;
      }
    } catch (error) {
      outcome = { state: 'failed', error };
    }
    groups.delete(name);
    for (const resolve of group.waiting) resolve(outcome);
  };

  return {
    async wait(name, target, { msMax, signal }) {
      const group = groups.get(name) ?? { waiting: new Set() };
      if (isClosed || held >= heldMax || group.waiting.size >= heldPerLaunchMax) return { state: 'full' };
      const { promise, resolve } = Promise.withResolvers<Held>();
      const leave = () => resolve({ state: 'late' });
      held += 1;
      group.waiting.add(resolve);
      const timer = setTimeout(leave, Math.min(msMax, options.holdMsMax ?? holdMsMax));
      signal.addEventListener('abort', leave, { once: true });
      if (!groups.has(name)) {
        groups.set(name, group);
        void watch(name, group, target);
      }
      const outcome = await promise;
      clearTimeout(timer);
      signal.removeEventListener('abort', leave);
      group.waiting.delete(resolve);
      held -= 1;
      return outcome;
    },
    close() {
      isClosed = true;
      for (const { waiting } of groups.values()) for (const resolve of waiting) resolve({ state: 'late' });
    },
  };
}
