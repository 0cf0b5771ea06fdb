/**
 * Signs the tree. A head is signed for whoever wants one now, and is kept as the newest only; a checkpoint is one that is
 * published: kept for good, in a file and in the tables, and handed to witnesses.
 */
import type { Knex } from 'knex';
import type { Clock } from '../../commands/clock.ts';
import { faultPoint } from '../../platform/fault.ts';
import { type Checkpoint, signCheckpoint } from '../../platform/proof/checkpoint.ts';
import { appendCheckpoints } from '../../platform/proof/checkpoint-file.ts';
import type { Signer } from '../../platform/proof/note.ts';
import type { TreeBuilder } from '../../platform/proof/tree-builder.ts';
import { type Head, storeCheckpoints, storeHead } from './audit-store.ts';

/** Who wants a head is likely to want the next one: for so long one is signed with each batch. */
const wantedMsMax = 5_000;

export type SigningDeps = {
  readonly sql: Knex;
  readonly clock: Clock;
  /** Where the files of the checkpoints are. */
  readonly folder: string;
  /** A checkpoint is published after so many events, or after so many seconds with at least one. */
  readonly checkpointEvents: number;
  readonly checkpointSeconds: number;
  /** Told of each checkpoint that is there for witnesses. */
  readonly onPublished: () => void;
};

type Signed = {
  readonly origin: string;
  readonly builder: TreeBuilder;
  /** The last that was published before. */
  readonly last: Checkpoint | undefined;
  /** Undefined while nothing may be signed. */
  readonly signer: () => Signer | undefined;
};

export function openSigning(deps: SigningDeps, { origin, builder, last, signer }: Signed) {
  let published = last;
  let publishedMs = last?.time == null ? 0 : Date.parse(last.time);
  let headSize = 0;
  let wantedMs = Number.NEGATIVE_INFINITY;
  const isWanted = () => performance.now() - wantedMs < wantedMsMax;

  /** Nothing smaller than what was published is signed again. */
  const head = (): Head | undefined => {
    const key = builder.size >= Math.max(1, published?.size ?? 0) ? signer() : undefined;
    if (key === undefined) return undefined;
    const at = deps.clock.now();
    const { size, position, chain } = builder;
    const checkpoint = signCheckpoint({ origin, size, root: builder.root(), position, chain, time: at }, key);
    headSize = size;
    return { checkpoint, at };
  };

  const dueMs = () => {
    const more = builder.size - (published?.size ?? 0);
    if (more <= 0 || signer() === undefined) return Number.POSITIVE_INFINITY;
    if (more >= deps.checkpointEvents) return 0;
    return Math.max(0, publishedMs + deps.checkpointSeconds * 1_000 - Date.now());
  };

  return {
    /** Somebody waits for a head. */
    wanted: () => {
      wantedMs = performance.now();
    },
    /** Whether there is something no head has been signed of. */
    isUnsigned: () => headSize < builder.size,
    /** Milliseconds until a checkpoint is due; Infinity while there is nothing to publish. */
    dueMs,
    headIfWanted: () => (isWanted() ? head() : undefined),
    /** Signs what is due, or wanted and not signed yet. Answers what was signed and stored. */
    async sign(): Promise<Head | undefined> {
      const isDue = dueMs() === 0;
      if (!isDue && !(isWanted() && headSize < builder.size)) return undefined;
      const signed = head();
      if (signed === undefined) return undefined;
      await storeHead(deps.sql, signed);
      if (!isDue) return signed;
      faultPoint('audit.checkpoint-signed');
      // The file first: it is what the tables are held against when they have to be made again.
      appendCheckpoints(deps.folder, [signed.checkpoint]);
      faultPoint('audit.checkpoint-written');
      await storeCheckpoints(deps.sql, [signed.checkpoint], signed.at);
      published = signed.checkpoint;
      publishedMs = Date.now();
      deps.onPublished();
      return signed;
    },
  };
}
