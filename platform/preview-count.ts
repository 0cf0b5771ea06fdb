/**
 * How many requests and WebSockets are under way: of one launch, of one visitor, and of the platform. Nobody can have them
 * all.
 */
import { isLoopback } from './client-address.ts';
import { networkOf } from './rate-limit.ts';

export type CountLimits = {
  readonly perLaunchMax: number;
  /** Of one address (IPv6: one /64). This machine's own is not counted: a proxy on it speaks for everybody. */
  readonly perVisitorMax: number;
  readonly allMax: number;
};

export type Counts = {
  /** Answers the function that ends it, or whose number is reached. */
  enter(launchId: string, address: string): (() => void) | keyof CountLimits;
  readonly size: number;
};

export function openCounts(limits: CountLimits): Counts {
  const launches = new Map<string, number>();
  const visitors = new Map<string, number>();
  let size = 0;
  return {
    enter(launchId, address) {
      const visitor = isLoopback(address) ? undefined : networkOf(address);
      const ofLaunch = launches.get(launchId) ?? 0;
      if (ofLaunch >= limits.perLaunchMax) return 'perLaunchMax';
      if (size >= limits.allMax) return 'allMax';
      if (visitor !== undefined) {
        const ofVisitor = visitors.get(visitor) ?? 0;
        if (ofVisitor >= limits.perVisitorMax) return 'perVisitorMax';
        visitors.set(visitor, ofVisitor + 1);
      }
      launches.set(launchId, ofLaunch + 1);
      size += 1;
      let isOver = false;
      return () => {
        if (isOver) return;
        isOver = true;
        size -= 1;
        leave(launches, launchId);
        if (visitor !== undefined) leave(visitors, visitor);
      };
    },
    get size() {
      return size;
    },
  };
}

function leave(counted: Map<string, number>, key: string): void {
  const left = (counted.get(key) ?? 1) - 1;
  if (left === 0) counted.delete(key);
  else counted.set(key, left);
}
