/** What is promised on each engine: to the containers that are there, and to what is on its way. */
import type { Wanted } from './engine-choice.ts';
import type { Group } from './engine-group.ts';
import type { Promised } from './engine-types.ts';

const nothing: Promised = { cpus: 0, memoryBytes: 0, launches: 0 };

export type Promises = {
  /** By engine, of those that answer and have any. */
  all(): Promise<(engine: string) => Promised>;
  /** Counts something as on its way to an engine until the answer is called; `key` is its container, once it is there. */
  note(engine: string, wanted: Wanted, key?: string): () => void;
};

export const keyOf = (launchId: string, deployment: number) => `${launchId}.${deployment}`;

export function promisesOf(group: Group): Promises {
  const onTheirWay = new Set<Wanted & { readonly engine: string; readonly key: string | undefined }>();
  return {
    async all() {
      const sums = new Map<string, Promised>();
      const add = (engine: string, wanted: Omit<Wanted, 'isLaunch'>, launches: number) => {
        const before = sums.get(engine) ?? nothing;
        const cpus = before.cpus + wanted.cpus;
        const memoryBytes = before.memoryBytes + wanted.memoryBytes;
        sums.set(engine, { cpus, memoryBytes, launches: before.launches + launches });
      };
      const there = new Set<string | undefined>();
      for (const { value } of (await group.gather(docker => docker.listLaunches())).said) {
        for (const one of value) {
          if (one.state === 'ended') continue;
          there.add(keyOf(one.launchId, one.deployment));
          add(one.engine, one, 1);
        }
      }
      for (const one of onTheirWay) {
        if (one.key === undefined || !there.has(one.key)) add(one.engine, one, one.isLaunch ? 1 : 0);
      }
      return engine => sums.get(engine) ?? nothing;
    },
    note(engine, wanted, key) {
      const one = { ...wanted, engine, key };
      onTheirWay.add(one);
      return () => void onTheirWay.delete(one);
    },
  };
}
