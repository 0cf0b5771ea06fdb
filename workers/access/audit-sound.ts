/** Whether the log, and the tree in the tables, still are what was signed. */
import type { Knex } from 'knex';
import { auditTree, auditTreeId } from '../../domain/access/audit-tree.ts';
import type { StoredEvent } from '../../eventstore/store.ts';
import type { Checkpoint } from '../../platform/proof/checkpoint.ts';
import { leafOf } from '../../platform/proof/leaf.ts';
import { equal, hashLeaf } from '../../platform/proof/merkle.ts';
import type { TreeBuilder } from '../../platform/proof/tree-builder.ts';
import { treeReader } from '../../platform/proof/tree-reader.ts';
import { attempt, type Send } from '../effect.ts';
import type { QueueLog } from '../queue.ts';
import { reportStatus } from '../tables.ts';
import { metadata } from './audit-keys.ts';
import { checkpointsBetween, type TreeInTables } from './audit-store.ts';

type SoundDeps = Send & { readonly sql: Knex; readonly log: QueueLog };

export type Unsound = {
  readonly kind: 'rewritten' | 'truncated' | 'damaged';
  readonly signed: Checkpoint;
  readonly foundRoot: Buffer | null;
  readonly soundSize: number;
};

export const said = (unsound: Unsound | undefined) =>
  unsound === undefined
    ? null
    : `What was signed of ${unsound.signed.size} events does not hold any more (${unsound.kind}): nothing is signed.`;

/** The tables are what was signed last, as far as they go. */
export async function whyUnsound(
  { sql }: SoundDeps,
  { generation, size, position }: TreeInTables,
  last: Checkpoint | undefined,
): Promise<Unsound | undefined> {
  if (last === undefined || last.size > size) return undefined;
  const foundRoot = await treeReader(sql).root({ generation, size, position }, last.size);
  return equal(foundRoot, last.root) ? undefined : { kind: 'damaged', signed: last, foundRoot, soundSize: 0 };
}

/** Adds the events, and holds the tree against each checkpoint that was signed of a size it passes. */
export async function addLeaves(
  { sql }: SoundDeps,
  origin: string,
  builder: TreeBuilder,
  events: readonly StoredEvent[],
  signedSize: number,
): Promise<Unsound | undefined> {
  const from = builder.size;
  const known = from < signedSize ? await checkpointsBetween(sql, origin, from, from + events.length) : [];
  let unsound: Unsound | undefined;
  let soundSize = from;
  let next = 0;
  for (const event of events) {
    const { position, id } = event;
    builder.push({ position, id, hash: hashLeaf(Buffer.from(leafOf(event))) });
    const signed = known[next];
    if (signed?.size !== builder.size) continue;
    next += 1;
    const foundRoot = builder.root();
    if (equal(foundRoot, signed.root)) soundSize = signed.size;
    else unsound ??= { kind: 'rewritten', signed, foundRoot, soundSize };
  }
  return unsound;
}

/** The largest size up to here that was signed, and held when the tree passed it. */
export async function soundUpTo(sql: Knex, origin: string, size: number): Promise<number> {
  const row = await sql('audit_checkpoints')
    .where({ origin })
    .where('size', '<=', size)
    .max('size as size')
    .first();
  return row?.size ?? 0;
}

export async function report(deps: SoundDeps, origin: string, unsound: Unsound): Promise<void> {
  const { kind, signed, foundRoot, soundSize } = unsound;
  deps.log.error({ kind, size: signed.size, soundSize }, said(unsound) ?? '');
  await reportStatus(deps.sql, 'audit', false, said(unsound));
  const data = {
    treeId: auditTreeId,
    at: deps.clock.now(),
    origin,
    kind,
    size: signed.size,
    signedRoot: signed.root.toString('base64'),
    foundRoot: foundRoot?.toString('base64') ?? null,
    soundSize,
  };
  await attempt(
    deps,
    auditTree,
    auditTreeId,
    { type: 'ReportAuditTreeDiverged', data },
    metadata(deps, undefined),
    [],
  );
}
