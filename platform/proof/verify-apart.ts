/** Checkpoints held against each other, by whoever has neither the log nor an export of it. */
import { equal } from './merkle.ts';
import type { Known } from './verify-known.ts';

type Fork = { readonly sources: readonly string[]; readonly size: number; readonly sound: number };

export type Compared = {
  /** Of how many sizes several have the same, and of how many only one has any. */
  readonly same: number;
  readonly apart: number;
  /** Histories that cannot both be true; `sound`: up to where they were still the same, as far as is known. */
  readonly forks: readonly Fork[];
};

/**
 * Two checkpoints of one log and size have one root, whoever has them. Those of different sizes may be of one history or not:
 * that takes a proof of consistency, or the export.
 */
export function compareCheckpoints(known: readonly Known[]): Compared {
  let [same, apart] = [0, 0];
  const forks: Fork[] = [];
  for (const ofLog of Map.groupBy(known, ({ checkpoint }) => checkpoint.origin).values()) {
    const bySize = Map.groupBy(ofLog, ({ checkpoint }) => checkpoint.size);
    let sound = 0;
    let isForked = false;
    for (const [size, ofSize] of [...bySize].toSorted(([a], [b]) => a - b)) {
      const [first, ...others] = ofSize as [Known, ...Known[]];
      const other = others.find(({ checkpoint }) => !equal(checkpoint.root, first.checkpoint.root));
      if (other === undefined && others.length > 0) {
        same += 1;
        if (!isForked) sound = size;
      } else if (other === undefined) apart += 1;
      else if (!isForked) {
        isForked = true;
        forks.push({ sources: [first.source, other.source], size, sound });
      }
    }
  }
  return { same, apart, forks };
}
