/**
 * Keeps the tree over all events: follows the log as it is stored, adds a leaf an event, and signs what has become of it.
 * Events wait for nobody here. What was signed once binds: nothing is signed that does not go on from it, and a log that is not
 * any more what was signed is reported as an event.
 */
import type { Knex } from 'knex';
import { auditTree, auditTreeId } from '../../domain/access/audit-tree.ts';
import type { Batch, StoredEvent, StoredLog } from '../../eventstore/store.ts';
import { faultPoint } from '../../platform/fault.ts';
import { readCheckpoints } from '../../platform/proof/checkpoint-file.ts';
import type { NearHead, NearHeads } from '../../platform/proof/near-head.ts';
import { openTreeBuilder, type TreeBuilder } from '../../platform/proof/tree-builder.ts';
import { createTreeTables, wantedChannel } from '../../platform/proof/tree-tables.ts';
import { attempt } from '../effect.ts';
import { pause } from '../inline-queue.ts';
import type { QueueLog } from '../queue.ts';
import { reportStatus } from '../tables.ts';
import { openAlarm } from './alarm.ts';
import { type KeyDeps, type Keys, metadata, settleKeys } from './audit-keys.ts';
import { openSigning, type SigningDeps } from './audit-signing.ts';
import { addLeaves, report, said, soundUpTo, type Unsound, whyUnsound } from './audit-sound.ts';
import {
  dropTrees,
  type Head,
  lastCheckpoint,
  loadTree,
  promoteTree,
  saveTree,
  storeCheckpoints,
  type TreeInTables,
} from './audit-store.ts';

const retryMsMin = 100;
const retryMsMax = 5_000;

export type AuditTreeDeps = KeyDeps &
  SigningDeps & {
    readonly sql: Knex;
    readonly stored: StoredLog;
    /** Calls back for each announcement on a channel of the database. */
    readonly listen: (channel: string, onHeard: () => void) => Promise<() => Promise<void>>;
    /** For whoever waits for heads in this process. */
    readonly near?: NearHeads;
    readonly log: QueueLog;
    readonly signal: AbortSignal;
  };

/** Runs until the signal aborts. What goes wrong is logged and tried again from what is stored. */
export async function keepAuditTree(deps: AuditTreeDeps): Promise<void> {
  const { log, signal } = deps;
  let retryMs = retryMsMin;
  while (!signal.aborted) {
    try {
      await keepOnce(deps, () => {
        retryMs = retryMsMin;
      });
    } catch (error) {
      if (signal.aborted) return;
      log.warn({ err: error, retryMs }, 'the audit tree stands still; trying again from what is stored');
      await pause(retryMs, signal);
      retryMs = Math.min(retryMs * 2, retryMsMax);
    }
  }
}

/** Returns when the signal aborts, or when something was asked for that needs a fresh look at everything. */
async function keepOnce(deps: AuditTreeDeps, onProgress: () => void): Promise<void> {
  const keeper = await openKeeper(deps);
  const stop = new AbortController();
  const alarm = openAlarm();
  const onWanted = () => {
    keeper.wanted();
    if (keeper.isUnsigned()) alarm.ring();
  };
  const stopListening = await deps.listen(wantedChannel, onWanted);
  if (deps.near !== undefined) deps.near.onWanted = onWanted;
  const from = keeper.readPosition ?? 'start';
  const signal = AbortSignal.any([deps.signal, stop.signal]);
  const batches = deps.stored.follow({ from, signal })[Symbol.asyncIterator]();
  try {
    let coming = batches.next();
    // An iterator that fails while nobody looks must not end the process.
    coming.catch(() => undefined);
    for (;;) {
      const came = await Promise.race([coming, alarm.after(keeper.dueMs())]);
      if (came !== undefined) {
        if (came.done === true) return;
        await keeper.grow(came.value);
        onProgress();
        if (await keeper.isOver(came.value)) return;
        coming = batches.next();
        coming.catch(() => undefined);
      }
      await keeper.sign();
    }
  } finally {
    alarm.close();
    stop.abort();
    deps.near?.show(undefined);
    await stopListening();
    await batches.return?.(undefined);
  }
}

async function openKeeper(deps: AuditTreeDeps) {
  const { sql, log, near } = deps;
  await createTreeTables(sql);
  const keys = await settleKeys(deps);
  const origin = keys.state.origin ?? deps.origin;
  await takeFromFiles(deps, origin);
  const tree = await loadTree(sql, keys.state.rebuildWanted ? 'next' : 'current');
  const builder = openTreeBuilder(tree);
  const last = await lastCheckpoint(sql, origin);
  let unsound = await whyUnsound(deps, tree, last);
  if (unsound !== undefined) await report(deps, origin, unsound);
  if (keys.problem !== null) log.warn({}, keys.problem);
  await reportStatus(
    sql,
    'audit',
    keys.problem === null && unsound === undefined,
    keys.problem ?? said(unsound),
  );
  let isLive = false;
  const signing = openSigning(deps, {
    origin,
    builder,
    last,
    signer: () => (isLive && tree.isCurrent && unsound === undefined ? keys.signer : undefined),
  });
  const show = (head: Head | undefined) => {
    if (head !== undefined) near?.show(nearHead(builder, head));
  };
  const find = async (found: Unsound | undefined) => {
    if (found === undefined || unsound !== undefined) return;
    unsound = found;
    await report(deps, origin, found);
  };
  return {
    readPosition: tree.readPosition,
    wanted: signing.wanted,
    isUnsigned: signing.isUnsigned,
    dueMs: signing.dueMs,
    async grow(batch: Batch<StoredEvent>): Promise<void> {
      await find(await addLeaves(deps, origin, builder, batch.events, last?.size ?? 0));
      isLive ||= batch.caughtUp;
      const head = signing.headIfWanted();
      const changes = builder.take();
      const saving = saveTree(sql, tree, builder, { changes, readPosition: batch.position, head });
      // Nobody has to wait until it is stored: whoever goes on after a kill comes to the same tree, for the log has the events.
      show(head);
      await saving;
    },
    /** Whether the tree is to be looked at afresh: something was asked for, or one that was made anew is whole. */
    async isOver({ events, caughtUp }: Batch<StoredEvent>): Promise<boolean> {
      const isAsked = events.some(({ stream, type }) => stream === ownStream && type.endsWith('Requested'));
      if (tree.isCurrent || !isLive) return isLive && isAsked;
      if (!caughtUp) return false;
      await endRebuild(deps, keys, tree, builder, unsound === undefined);
      return true;
    },
    /** Signs what is due or wanted. A log that ends before what was signed is none to go on from. */
    async sign(): Promise<void> {
      if (isLive && last !== undefined && builder.size < last.size)
        await find({
          kind: 'truncated',
          signed: last,
          foundRoot: null,
          soundSize: await soundUpTo(sql, origin, builder.size),
        });
      show(await signing.sign());
    },
  };
}

function nearHead(builder: TreeBuilder, { checkpoint }: Head): NearHead {
  const { size, note } = checkpoint;
  return {
    position: checkpoint.position ?? -1n,
    prove(position) {
      const proved = builder.prove(position, size);
      return proved && { ...proved, position, size, checkpoint: note };
    },
  };
}

const ownStream = `${auditTree.category}-${auditTreeId}`;

/** What was published and did not get into the tables, or was lost with them. */
async function takeFromFiles({ sql, folder, clock }: AuditTreeDeps, origin: string): Promise<void> {
  const month = (await lastCheckpoint(sql, origin))?.time?.slice(0, 'yyyy-mm'.length);
  for (const some of readCheckpoints(folder, month))
    await storeCheckpoints(
      sql,
      some.filter(one => one.origin === origin),
      clock.now(),
    );
}

/** Shows the tree that was made anew, unless it is not what was signed: then the one before stays. */
async function endRebuild(
  deps: AuditTreeDeps,
  { state }: Keys,
  { generation }: TreeInTables,
  builder: TreeBuilder,
  agrees: boolean,
): Promise<void> {
  const { sql } = deps;
  faultPoint('audit.rebuilt');
  if (agrees) await promoteTree(sql, generation);
  else {
    await sql('audit_trees').where({ generation, is_current: false }).delete();
    await dropTrees(sql);
  }
  faultPoint('audit.promoted');
  if (!state.rebuildWanted) return;
  const { size } = builder;
  const data = {
    treeId: auditTreeId,
    at: deps.clock.now(),
    size,
    root: builder.root().toString('base64'),
    agrees,
  };
  await attempt(
    deps,
    auditTree,
    auditTreeId,
    { type: 'ReportAuditTreeRebuilt', data },
    metadata(deps, undefined),
    [],
  );
}
