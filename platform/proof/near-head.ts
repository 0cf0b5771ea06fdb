/**
 * The newest head, for whoever waits for it in the process that keeps the tree: no table is asked, and nothing has to be
 * announced to somebody who is this near. Other processes, and what it cannot prove, go by the tables.
 */
import type { Receipt } from './receipts.ts';

export type NearHead = {
  readonly position: bigint;
  /** Undefined where what proves it is not in memory any more. */
  prove(position: bigint): Receipt | undefined;
};

export type NearHeads = {
  /** Undefined while no tree is kept in this process. */
  readonly newest: NearHead | undefined;
  /** Of one that was signed. Undefined: the tree is not kept here any more. */
  show(head: NearHead | undefined): void;
  /** Somebody waits for a head. */
  want(): void;
  /** Who shows heads is told that they are wanted, and who waits for one that there is one. Each replaces what was there. */
  onWanted: () => void;
  onShown: () => void;
};

export function openNearHeads(): NearHeads {
  let newest: NearHead | undefined;
  const heads: NearHeads = {
    get newest() {
      return newest;
    },
    show(head) {
      newest = head;
      heads.onShown();
    },
    want: () => heads.onWanted(),
    onWanted: () => undefined,
    onShown: () => undefined,
  };
  return heads;
}
