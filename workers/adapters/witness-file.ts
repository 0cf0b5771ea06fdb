/** A witness that is a folder: a disk that can be written once, another machine's, a backup. */
import { existsSync } from 'node:fs';
import type { WitnessConfig } from '../../platform/audit-witness-config.ts';
import type { Checkpoint } from '../../platform/proof/checkpoint.ts';
import { appendCheckpoints, readCheckpoints } from '../../platform/proof/checkpoint-file.ts';
import type { Handed, Handing, Witness } from '../access/witness.ts';

export function fileWitness({ name, everySeconds, folder }: WitnessConfig & { kind: 'file' }): Witness {
  return {
    name,
    kind: 'file',
    everySeconds,
    async hand(handing) {
      // A disk that is not there must not be taken for one that is empty.
      if (!existsSync(folder)) throw new Error(`There is no folder ${folder}`);
      return appendTo(folder, handing);
    },
  };
}

/** Appends what the folder does not have. What it has is looked at first, so nothing comes twice. */
export async function appendTo(folder: string, handing: Handing): Promise<Handed & { appended: number }> {
  const held = largestIn(folder, handing.origin);
  const more = await handing.beyond(held);
  appendCheckpoints(folder, more);
  return { size: more.at(-1)?.size ?? held?.size ?? 0, appended: more.length };
}

function largestIn(folder: string, origin: string): Checkpoint | undefined {
  let largest: Checkpoint | undefined;
  for (const some of readCheckpoints(folder))
    for (const one of some) if (one.origin === origin && one.size >= (largest?.size ?? 0)) largest = one;
  return largest;
}
