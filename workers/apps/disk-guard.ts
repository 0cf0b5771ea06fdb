/** Between the disk and the builds of this process: those under way are ended before they take the last of it. */
import { BuildFailure } from '../adapters/docker-types.ts';

export type DiskGuard = {
  /** Does something under a signal that also aborts when the disk is nearly full: then with a BuildFailure that says so. */
  during<T>(signal: AbortSignal, build: (signal: AbortSignal) => Promise<T>): Promise<T>;
  /** Whether anything is under way. */
  isOnGuard(): boolean;
  end(reason: string): void;
};

export function openDiskGuard(): DiskGuard {
  const underWay = new Set<AbortController>();
  return {
    async during(signal, build) {
      const full = new AbortController();
      underWay.add(full);
      try {
        return await build(AbortSignal.any([signal, full.signal]));
      } finally {
        underWay.delete(full);
      }
    },
    isOnGuard: () => underWay.size > 0,
    end(reason) {
      for (const full of underWay) full.abort(new BuildFailure(reason));
    },
  };
}
