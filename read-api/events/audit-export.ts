/**
 * GET /audit/export: the events as the log has them, beside the hashes that the tree has kept of them, with every checkpoint
 * between. Whoever has the file and the public key needs nobody else to verify it.
 */
import { Readable } from 'node:stream';
import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox';
import type { Knex } from 'knex';
import type { StoredEvent, StoredLog } from '../../eventstore/store.ts';
import { allows, type Identity } from '../../platform/auth.ts';
import { Problem } from '../../platform/problem.ts';
import { type Checkpoint, chainStart, parseCheckpoint } from '../../platform/proof/checkpoint.ts';
import { exportLines } from '../../platform/proof/export-format.ts';
import { leafOf } from '../../platform/proof/leaf.ts';
import { hashBytes } from '../../platform/proof/merkle.ts';
import type { Receipts } from '../../platform/proof/receipts.ts';
import { tileWidth } from '../../platform/proof/tiles.ts';
import { type TreeReader, type TreeState, treeReader } from '../../platform/proof/tree-reader.ts';
import { PlainText } from '../shapes.ts';
import { contextScopes } from './filter.ts';

const partCharsMax = 256 * 1_024;

export type ExportDeps = { readonly sql: Knex; readonly stored: StoredLog; readonly receipts: Receipts };

const Query = Type.Object({
  from: Type.Optional(
    Type.String({
      pattern: '^[0-9]{1,19}$',
      description: 'A position; the checkpoint before it is where it begins',
    }),
  ),
  to: Type.Optional(
    Type.String({
      pattern: '^[0-9]{1,19}$',
      description: 'A position; the checkpoint behind it is where it ends',
    }),
  ),
});

export function exportReads(deps: ExportDeps): FastifyPluginAsyncTypebox {
  return async app => {
    app.get(
      '/audit/export',
      {
        config: { scope: 'audit:read' },
        schema: {
          tags: ['audit'],
          summary: 'Every event as it is stored, with what proves it, as one file to be verified anywhere',
          querystring: Query,
          response: { 200: PlainText },
        },
      },
      async ({ query, identity }, reply) => {
        requireEverything(identity);
        const plan = await planOf(deps, query);
        const stop = new AbortController();
        const body = Readable.from(textOf(deps, plan, stop.signal), {
          objectMode: false,
          highWaterMark: partCharsMax,
        });
        body.once('close', () => stop.abort());
        return reply.type('text/plain; charset=utf-8').send(body);
      },
    );
  };
}

/** All events are in it, so whoever may not see some of them may not have it. */
function requireEverything(identity: Identity): void {
  if (identity.apps !== null)
    throw new Problem(
      403,
      'foreign-resource',
      'An export holds what concerns all apps, not only those you may reach',
    );
  const missing = contextScopes.find(scope => !allows(identity, scope));
  if (missing !== undefined)
    throw new Problem(403, 'forbidden', `This needs the scope ${missing}`, { extra: { scope: missing } });
}

type Plan = {
  readonly state: TreeState;
  readonly origin: string;
  /** Null: from the first event. */
  readonly before: Checkpoint | null;
  /** Where it ends. */
  readonly last: Checkpoint;
};

/** From checkpoint to checkpoint: only there the chain is known, and only what a checkpoint covers is proved. */
async function planOf({ sql, receipts }: ExportDeps, query: { from?: string; to?: string }): Promise<Plan> {
  const reader = treeReader(sql);
  const newest = await reader.state();
  if (newest?.position == null) throw behind();
  // What is there now is signed first, where it can be.
  await receipts.of(newest.position);
  const [state, head] = [await reader.state(), await receipts.head()];
  if (state === undefined || head === undefined) throw behind();
  const { origin } = head;
  const published = (size: number, side: '<=' | '>=') =>
    sql('audit_checkpoints')
      .where({ origin })
      .where('size', side, size)
      .orderBy('size', side === '<=' ? 'desc' : 'asc')
      .first('note')
      .then(row => (row === undefined ? null : parseCheckpoint(row.note)));
  const firstIndex = query.from === undefined ? 0 : await reader.indexFrom(state, BigInt(query.from));
  const before = firstIndex === 0 ? null : await published(Math.min(firstIndex, head.size), '<=');
  const endIndex = query.to === undefined ? head.size : await reader.indexFrom(state, BigInt(query.to) + 1n);
  const last =
    endIndex >= head.size ? null : await published(Math.max(endIndex, (before?.size ?? 0) + 1), '>=');
  return { state, origin, before, last: last ?? parseCheckpoint(head.note) };
}

const behind = () => new Problem(503, 'behind', 'Nothing has been signed yet; ask again');

/** The lines of the file, many at a time. */
async function* textOf(deps: ExportDeps, plan: Plan, signal: AbortSignal): AsyncIterable<string> {
  let text = '';
  for await (const line of linesOf(deps, plan, signal)) {
    text += line;
    if (text.length < partCharsMax) continue;
    yield text;
    text = '';
  }
  yield text;
}

async function* linesOf(deps: ExportDeps, plan: Plan, signal: AbortSignal): AsyncIterable<string> {
  const { sql } = deps;
  const { state, origin, before, last } = plan;
  const reader = treeReader(sql);
  const from = before?.size ?? 0;
  yield exportLines.title();
  yield exportLines.origin(origin);
  yield exportLines.from(from, before?.chain ?? chainStart);
  for (const peak of await reader.peaks(state, from)) yield exportLines.peak(peak);
  const keys = await sql('access_audit_keys')
    .where({ origin })
    .orderBy('access_audit_keys.position')
    .select('key', 'statement');
  for (const { key } of keys) yield exportLines.key(key);
  for (const { statement } of keys) if (statement !== null) yield exportLines.change(statement);
  const events = await openEvents(deps.stored, before?.position ?? 'start', signal);
  for (let first = from; first < last.size; ) {
    const next = Math.min(last.size, (Math.floor(first / tileWidth) + 1) * tileWidth);
    yield* blockOf({ sql, reader, events, plan }, first, next);
    first = next;
  }
  yield exportLines.end(last.size);
}

type Block = { sql: Knex; reader: TreeReader; events: Events; plan: Plan };

/** The leaves of one tile, or of a part of it, with the checkpoints among them. */
async function* blockOf(
  { sql, reader, events, plan }: Block,
  first: number,
  next: number,
): AsyncIterable<string> {
  const { state, origin, last } = plan;
  const { hashes, positions } = await reader.leaves(state, Math.floor(first / tileWidth));
  const notes = await notesBetween(sql, origin, first, next, last);
  const offset = first % tileWidth;
  const count = next - first;
  for (let n = 0; n < count; n += 1) {
    const position = positions[offset + n] ?? 0n;
    // Whatever the log has up to here, also what the tree does not know.
    for (let event = await events.upTo(position); event !== undefined; event = await events.upTo(position))
      yield `${leafOf(event)}\n`;
    for (const note of notes.get(first + n + 1) ?? []) yield exportLines.checkpoint(note);
  }
  yield exportLines.tile(first, hashes.subarray(offset * hashBytes, (offset + count) * hashBytes));
}

/** By size; the last one is a head, which need not have been published. */
async function notesBetween(
  sql: Knex,
  origin: string,
  first: number,
  next: number,
  last: Checkpoint,
): Promise<ReadonlyMap<number, readonly string[]>> {
  const rows: { size: number; note: string; lines: string[] }[] = await sql('audit_checkpoints as c')
    .leftJoin('audit_cosignatures as s', { 's.origin': 'c.origin', 's.size': 'c.size' })
    .where('c.origin', origin)
    .where('c.size', '>', first)
    .where('c.size', '<=', next)
    .groupBy('c.size', 'c.note')
    .orderBy('c.size')
    .select(
      'c.size',
      'c.note',
      sql.raw(`coalesce(array_agg(s.line) filter (where s.line is not null), '{}') as lines`),
    );
  const found = new Map(rows.map(({ size, note, lines }) => [size, [note + lines.join('')]]));
  if (last.size > first && last.size <= next && !found.has(last.size)) found.set(last.size, [last.note]);
  return found;
}

type Events = { upTo(position: bigint): Promise<StoredEvent | undefined> };

/** One event after the other, as long as they lie at or before a position. What the log does not have now is not waited for. */
async function openEvents(stored: StoredLog, from: bigint | 'start', signal: AbortSignal): Promise<Events> {
  const batches = stored.follow({ from, signal })[Symbol.asyncIterator]();
  let batch: readonly StoredEvent[] = [];
  let at = 0;
  let isOver = false;
  return {
    async upTo(position) {
      while (at === batch.length && !isOver) {
        const next = await batches.next();
        batch = next.done === true ? [] : next.value.events;
        isOver = next.done === true || next.value.caughtUp;
        at = 0;
      }
      const event = batch[at];
      if (event === undefined || event.position > position) return undefined;
      at += 1;
      return event;
    },
  };
}
