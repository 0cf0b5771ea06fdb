/**
 * How the worker that keeps the tree reads and writes it. What one batch of events changes is one statement, all or nothing.
 */
import type { Knex } from 'knex';
import { type Checkpoint, parseCheckpoint } from '../../platform/proof/checkpoint.ts';
import { edgeWidths, tileWidth } from '../../platform/proof/tiles.ts';
import {
  type Changes,
  emptyTree,
  type StoredTree,
  type TreeBuilder,
} from '../../platform/proof/tree-builder.ts';
import { headChannel } from '../../platform/proof/tree-tables.ts';

export type TreeInTables = StoredTree & {
  readonly generation: number;
  readonly isCurrent: boolean;
  /** How far the log has been read; null: not at all. */
  readonly readPosition: bigint | null;
};

const positionBytes = 8;

/** The tree that is read by all, or the one that is to take its place; begun where there is none. */
export async function loadTree(sql: Knex, which: 'current' | 'next'): Promise<TreeInTables> {
  const isCurrent = which === 'current';
  const columns = [
    'generation',
    'size',
    'chain',
    sql.raw('position::text as position, read_position::text as read'),
  ];
  const known = await sql('audit_trees')
    .where({ is_current: isCurrent })
    .orderBy('generation', 'desc')
    .first(columns as never);
  if (known === undefined) {
    const { rows } = await sql.raw(
      `insert into audit_trees (generation, is_current, size, chain)
       select coalesce(max(generation), 0) + 1, ?, 0, ? from audit_trees returning generation`,
      [isCurrent, emptyTree.chain],
    );
    return { ...emptyTree, generation: rows[0].generation, isCurrent, readPosition: null };
  }
  const { generation, size, chain, position, read } = known as never as {
    generation: number;
    size: number;
    chain: Buffer;
    position: string | null;
    read: string | null;
  };
  return {
    generation,
    isCurrent,
    size,
    chain,
    position: position === null ? null : BigInt(position),
    readPosition: read === null ? null : BigInt(read),
    open: await openTiles(sql, generation, size),
  };
}

async function openTiles(sql: Knex, generation: number, size: number): Promise<readonly Buffer[]> {
  const widths = edgeWidths(size);
  const edge: Buffer[] = await sql('audit_edge').where({ generation }).orderBy('leaf').pluck('hash');
  const open: Buffer[] = [Buffer.concat(edge)];
  for (let level = 1; level < widths.length; level += 1) {
    const at = Math.floor(size / tileWidth ** (level + 1));
    const row = await sql('audit_tiles').where({ generation, level, at }).first('hashes');
    open.push(row?.hashes ?? Buffer.alloc(0));
  }
  return open;
}

export type Head = { readonly checkpoint: Checkpoint; readonly at: string };

/** Stores what was added, and the head that was signed over it. Throws when another worker has moved the tree meanwhile. */
export async function saveTree(
  sql: Knex,
  tree: Pick<TreeInTables, 'generation'>,
  builder: TreeBuilder,
  { changes, readPosition, head }: { changes: Changes; readPosition: bigint | null; head: Head | undefined },
): Promise<void> {
  const { from, size, leaves, tiles } = changes;
  const edgeFrom = size - (size % tileWidth);
  const edge = leaves
    .map((leaf, n) => ({ ...leaf, index: from + n }))
    .filter(({ index }) => index >= edgeFrom);
  const positions = await positionsOfTiles(sql, tree.generation, changes);
  const { rows } = await sql.raw(saving, {
    generation: tree.generation,
    from,
    size,
    chain: builder.chain,
    position: builder.position?.toString() ?? null,
    read: readPosition?.toString() ?? null,
    ids: leaves.map(({ id }) => id),
    edgeFrom,
    edgeLeaves: edge.map(({ index }) => index),
    edgeHashes: edge.map(({ hash }) => hash),
    edgePositions: edge.map(({ position }) => position.toString()),
    levels: tiles.map(({ level }) => level),
    ats: tiles.map(({ at }) => at),
    hashes: tiles.map(({ hashes }) => hashes),
    positions: tiles.map(({ level, at }) => (level === 0 ? positions.get(at) : null)),
    firsts: tiles.map(({ level, at }) =>
      level === 0 ? (positions.get(at)?.readBigUInt64BE(0).toString() ?? null) : null,
    ),
    origin: head?.checkpoint.origin ?? null,
    headSize: head?.checkpoint.size ?? 0,
    headPosition: head?.checkpoint.position?.toString() ?? null,
    note: head?.checkpoint.note ?? null,
    headAt: head?.at ?? null,
    channel: headChannel,
  } as never);
  if (rows.length !== 1) throw new Error('another worker keeps the tree');
}

const saving = `
  with moved as (
    update audit_trees set size = :size, position = cast(:position as bigint), read_position = cast(:read as bigint),
      chain = :chain, moved_at = now()
    where generation = :generation and size = :from returning generation
  ), ids as (
    insert into audit_ids (generation, id, leaf)
    select m.generation, u.id, cast(:from as bigint) + u.n - 1
    from moved m, unnest(cast(:ids as uuid[])) with ordinality as u(id, n)
  ), gone as (
    delete from audit_edge e using moved m where e.generation = m.generation and e.leaf < :edgeFrom
  ), edge as (
    insert into audit_edge (generation, leaf, hash, position)
    select m.generation, u.* from moved m, unnest(
      cast(:edgeLeaves as bigint[]), cast(:edgeHashes as bytea[]), cast(:edgePositions as bigint[])
    ) as u(leaf, hash, position)
  ), tiles as (
    insert into audit_tiles (generation, level, at, hashes, positions, first_position)
    select m.generation, u.* from moved m, unnest(
      cast(:levels as int[]), cast(:ats as bigint[]), cast(:hashes as bytea[]), cast(:positions as bytea[]),
      cast(:firsts as bigint[])
    ) as u(level, at, hashes, positions, first_position)
    on conflict (generation, level, at) do update set hashes = excluded.hashes
  ), head as (
    insert into audit_heads (origin, size, position, note, at)
    select cast(:origin as text), cast(:headSize as bigint), cast(:headPosition as bigint), :note,
      cast(:headAt as timestamptz)
    from moved where cast(:origin as text) is not null
    on conflict (origin) do update set size = excluded.size, position = excluded.position, note = excluded.note,
      at = excluded.at
  )
  select pg_notify(:channel, '') from moved`;

/** Of the tiles of level 0 that are full now: 256 times 8 bytes. The first may have begun in an earlier batch. */
async function positionsOfTiles(
  sql: Knex,
  generation: number,
  { from, leaves, tiles }: Changes,
): Promise<ReadonlyMap<number, Buffer>> {
  const full = tiles.filter(({ level }) => level === 0);
  const packed = new Map<number, Buffer>();
  for (const { at } of full) {
    const positions = Buffer.alloc(tileWidth * positionBytes);
    const first = at * tileWidth;
    if (first < from) {
      const before: { position: string }[] = await sql('audit_edge')
        .where({ generation })
        .orderBy('leaf')
        .select(sql.raw('position::text as position'));
      for (const [n, { position }] of before.entries())
        positions.writeBigUInt64BE(BigInt(position), n * positionBytes);
    }
    for (let n = Math.max(0, from - first); n < tileWidth; n += 1) {
      positions.writeBigUInt64BE(leaves[first + n - from]?.position ?? 0n, n * positionBytes);
    }
    packed.set(at, positions);
  }
  return packed;
}

/** Shows the tree that was made anew, and forgets all others. */
export async function promoteTree(sql: Knex, generation: number): Promise<void> {
  await sql.transaction(async tx => {
    await tx('audit_trees').whereNot({ generation }).delete();
    await tx('audit_trees').where({ generation }).update({ is_current: true });
  });
  await dropTrees(sql);
}

/** What is left of trees that are no more, also after a crash in between. May take as long as it takes. */
export async function dropTrees(sql: Knex): Promise<void> {
  await sql.transaction(async tx => {
    await tx.raw('set local statement_timeout = 0');
    for (const table of ['audit_tiles', 'audit_edge', 'audit_ids'])
      await tx(table).whereNotIn('generation', tx('audit_trees').select('generation')).delete();
  });
}

/** The largest that was published under this origin. */
export async function lastCheckpoint(sql: Knex, origin: string): Promise<Checkpoint | undefined> {
  const row = await sql('audit_checkpoints').where({ origin }).orderBy('size', 'desc').first('note');
  return row === undefined ? undefined : parseCheckpoint(row.note);
}

/** Those published of sizes beyond `from` and up to `to`, smallest first. */
export async function checkpointsBetween(
  sql: Knex,
  origin: string,
  from: number,
  to: number,
): Promise<readonly Checkpoint[]> {
  const notes: string[] = await sql('audit_checkpoints')
    .where({ origin })
    .where('size', '>', from)
    .where('size', '<=', to)
    .orderBy('size')
    .pluck('note');
  return notes.map(parseCheckpoint);
}

const rowsMax = 1_000;

export async function storeCheckpoints(
  sql: Knex,
  checkpoints: readonly Checkpoint[],
  at: string,
): Promise<void> {
  for (let from = 0; from < checkpoints.length; from += rowsMax) {
    const rows = checkpoints
      .slice(from, from + rowsMax)
      .map(({ origin, size, root, note, time }) => ({ origin, size, root, note, at: time ?? at }));
    await sql('audit_checkpoints').insert(rows).onConflict(['origin', 'size']).ignore();
  }
}

/** A head of its own, where nothing was added. */
export async function storeHead(sql: Knex, { checkpoint, at }: Head): Promise<void> {
  const { origin, size, note, position } = checkpoint;
  await sql('audit_heads')
    .insert({ origin, size, note, at, position: position?.toString() ?? null })
    .onConflict('origin')
    .merge();
  await sql.raw('select pg_notify(?, ?)', [headChannel, '']);
}
