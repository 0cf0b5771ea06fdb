/** What a witness is to the worker that hands checkpoints over. workers/adapters/witness-*.ts are the kinds there are. */
import type { Checkpoint } from '../../platform/proof/checkpoint.ts';
import type { SignatureLine } from '../../platform/proof/note.ts';

/** What may be handed over, and whether it goes on from what a witness has. */
export type Handing = {
  readonly origin: string;
  /** Published and not known to be handed over: smallest first, at least one. */
  readonly checkpoints: readonly Checkpoint[];
  /** What this witness was handed last, as far as is known here. */
  readonly last: Checkpoint | undefined;
  /** Those beyond what the witness has. Throws Forked where the tree does not go on from that. */
  beyond(held: Pick<Checkpoint, 'size' | 'root'> | undefined): Promise<readonly Checkpoint[]>;
  consistency(from: number, to: number): Promise<readonly Buffer[]>;
  readonly signal: AbortSignal;
};

export type Handed = {
  /** How far the witness has been brought. */
  readonly size: number;
  readonly cosigned?: { readonly checkpoint: Checkpoint; readonly lines: readonly SignatureLine[] };
};

/** Safe to be asked again with what it has already: it looks first where it can, and takes the same twice where it cannot. */
export type Witness = {
  readonly name: string;
  readonly kind: string;
  readonly everySeconds: number;
  hand(handing: Handing): Promise<Handed>;
};

/** What the witness has is no beginning of the tree: somebody was shown another history. */
export class Forked extends Error {
  override readonly name = 'Forked';
}
