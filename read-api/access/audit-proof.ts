/** What is proved by the tree over all events: signed heads, both kinds of proofs, tiles, keys. Hashes are for everybody. */
import { type FastifyPluginAsyncTypebox, type Static, Type } from '@fastify/type-provider-typebox';
import type { Knex } from 'knex';
import { invalid, Problem } from '../../platform/problem.ts';
import { answerOf } from '../../platform/proof/receipt-file.ts';
import type { Receipts } from '../../platform/proof/receipts.ts';
import { tileOfPath } from '../../platform/proof/tiles.ts';
import { type TreeReader, type TreeState, treeReader } from '../../platform/proof/tree-reader.ts';
import { Count, listOf, nullable, oneOf, PlainText, Position, Text, Time } from '../shapes.ts';

/** Of a request that says a position the tree has not come to, or nothing has been signed of. */
const waitMsMax = 2_000;

export type ProofDeps = { readonly sql: Knex; readonly receipts: Receipts };

const Size = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
const Hash = Type.String({ description: '32 bytes in base64' });

const Checkpoint = Type.Object({
  size: Count,
  note: Type.String({ description: 'The signed note' }),
  at: Time,
  cosignatures: Type.Array(Text, { description: 'Lines that belong behind those of the note' }),
});
const Inclusion = Type.Object({
  index: Count,
  position: Position,
  leafHash: Hash,
  size: Count,
  proof: Type.Array(Hash),
  checkpoint: nullable(
    Type.String({ description: 'The note over this size; null where none was published' }),
  ),
});
const Consistency = Type.Object({
  from: Count,
  to: Count,
  fromRoot: Hash,
  toRoot: Hash,
  proof: Type.Array(Hash),
});
const Key = Type.Object({
  key: Type.String({ description: 'The public key, as name+id+base64' }),
  keyId: Text,
  origin: Text,
  since: Time,
  until: nullable(Time),
  statement: nullable(Type.String({ description: 'The note by which the key before vouches for it' })),
  because: nullable(Text),
  position: Position,
});
const Witness = Type.Object({
  name: Text,
  kind: Text,
  origin: Text,
  size: Count,
  seenAt: nullable(Time),
  problem: nullable(Text),
  failingSince: nullable(Time),
});

const InclusionQuery = Type.Object({
  position: Type.Optional(Type.String({ pattern: '^[0-9]{1,19}$', description: 'Of the event in the log' })),
  index: Type.Optional(Size),
  id: Type.Optional(Type.String({ format: 'uuid', description: 'Of the event' })),
  size: Type.Optional(Size),
});
const Sizes = Type.Object({ from: Size, to: Size });
const CheckpointsQuery = Type.Object({
  from: Type.Optional(Size),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 200, default: 50 })),
});

const tags = ['audit'];
const config = { scope: 'public' } as const;

export function proofReads({ sql, receipts }: ProofDeps): FastifyPluginAsyncTypebox {
  const reader = treeReader(sql);
  return async app => {
    app.get(
      '/audit/checkpoint',
      {
        config,
        schema: {
          tags,
          summary: 'The newest signed head of the tree over all events (C2SP tlog-checkpoint)',
          response: { 200: PlainText },
        },
      },
      async (_request, reply) => {
        const head = await receipts.head();
        if (head === undefined) throw none();
        const lines = await cosignaturesOf(sql, head.origin, head.size, head.note);
        return reply.type('text/plain; charset=utf-8').send(head.note + lines.join(''));
      },
    );
    app.get(
      '/audit/checkpoints',
      {
        config,
        schema: {
          tags,
          summary: 'Published checkpoints with what witnesses said of them, by size',
          querystring: CheckpointsQuery,
          response: { 200: listOf(Checkpoint) },
        },
      },
      ({ query }) => checkpoints(sql, receipts, query),
    );
    app.get(
      '/audit/proof/inclusion',
      {
        config,
        schema: {
          tags,
          summary: 'That an event is in the tree (RFC 9162 2.1.3)',
          querystring: InclusionQuery,
          response: { 200: oneOf(Inclusion) },
        },
      },
      async ({ query }) => ({ data: await inclusion(sql, reader, receipts, query) }),
    );
    app.get(
      '/audit/proof/consistency',
      {
        config,
        schema: {
          tags,
          summary: 'That the tree of one size is the beginning of that of another (RFC 9162 2.1.4)',
          querystring: Sizes,
          response: { 200: oneOf(Consistency) },
        },
      },
      async ({ query }) => ({ data: await consistency(reader, query) }),
    );
    await app.register(treeParts(sql, reader));
  };
}

/** What proofs are made of, and who has seen what. */
function treeParts(sql: Knex, reader: TreeReader): FastifyPluginAsyncTypebox {
  return async app => {
    app.get(
      '/audit/tile/*',
      {
        config,
        schema: {
          tags,
          summary: 'A tile of the tree (C2SP tlog-tiles): hashes of 32 bytes',
          params: Type.Object({
            '*': Type.String({ maxLength: 64, description: 'As in 0/x001/234 and 0/005.p/17' }),
          }),
          response: { 200: PlainText },
        },
      },
      async ({ params }, reply) => {
        const place = tileOfPath(params['*']);
        const state = await reader.state();
        const tile = place && state && (await reader.tile(state, place, place.width));
        if (tile === undefined) throw new Problem(404, 'not-found', 'The tree has no such tile');
        reply.header('cache-control', 'public, max-age=31536000, immutable');
        return reply.type('application/octet-stream').send(tile);
      },
    );
    app.get(
      '/audit/keys',
      {
        config,
        schema: {
          tags,
          summary: 'Every key the tree was ever signed with, the present one last',
          response: { 200: Type.Object({ data: Type.Array(Key) }) },
        },
      },
      async () => ({ data: await keys(sql) }),
    );
    app.get(
      '/audit/witnesses',
      {
        config: { scope: 'audit:read' },
        schema: {
          tags,
          summary: 'How far each witness has been brought, and what keeps it from more',
          response: { 200: Type.Object({ data: Type.Array(Witness) }) },
        },
      },
      async () => ({ data: await witnesses(sql) }),
    );
  };
}

const none = () => new Problem(503, 'behind', 'Nothing has been signed yet; ask again');
const behind = () =>
  new Problem(503, 'behind', 'The tree has not come so far, or nothing has been signed; ask again');
const base64 = (hash: Buffer) => hash.toString('base64');

async function stateOf(reader: TreeReader): Promise<TreeState> {
  const state = await reader.state();
  if (state === undefined) throw none();
  return state;
}

async function inclusion(
  sql: Knex,
  reader: TreeReader,
  receipts: Receipts,
  query: Static<typeof InclusionQuery>,
): Promise<Static<typeof Inclusion>> {
  const state = await reached(reader, receipts, query);
  const index = await indexOf(reader, state, query);
  const position = await reader.positionOf(state, index);
  if (query.size === undefined) {
    const receipt = await receipts.of(position, waitMsMax);
    if (receipt === undefined) throw behind();
    return answerOf(receipt);
  }
  const { size } = query;
  if (index >= size || size > state.size)
    throw invalid([{ field: 'size', message: `must be more than ${index} and at most ${state.size}` }]);
  const [found] = await reader.inclusion(state, [index], size);
  const head = await receipts.head();
  const known = await sql('audit_checkpoints')
    .where({ origin: head?.origin ?? '', size })
    .first('note');
  const { leafHash, proof } = found as NonNullable<typeof found>;
  const answer = answerOf({ index, position, leafHash, size, proof, checkpoint: '' });
  return { ...answer, checkpoint: known?.note ?? null };
}

/** The tree once it has come as far as the position; what was written a moment ago is waited for. */
async function reached(
  reader: TreeReader,
  receipts: Receipts,
  { position }: Static<typeof InclusionQuery>,
): Promise<TreeState> {
  const state = await stateOf(reader);
  if (position === undefined || BigInt(position) <= (state.position ?? 0n)) return state;
  await receipts.of(BigInt(position), waitMsMax);
  const later = await stateOf(reader);
  if (BigInt(position) > (later.position ?? 0n)) throw behind();
  return later;
}

async function indexOf(
  reader: TreeReader,
  state: TreeState,
  { position, index, id }: Static<typeof InclusionQuery>,
): Promise<number> {
  if ([position, index, id].filter(one => one !== undefined).length !== 1)
    throw invalid([{ field: 'position', message: 'or index, or id: one of them' }]);
  const found =
    position !== undefined
      ? await reader.indexOf(state, BigInt(position))
      : id !== undefined
        ? await reader.indexOfId(state, id)
        : index;
  if (found !== undefined && found < state.size) return found;
  throw new Problem(404, 'not-found', 'The tree has no such event', {
    extra: { size: state.size, position: (state.position ?? 0n).toString() },
  });
}

async function consistency(
  reader: TreeReader,
  { from, to }: Static<typeof Sizes>,
): Promise<Static<typeof Consistency>> {
  const state = await stateOf(reader);
  if (to > state.size) throw invalid([{ field: 'to', message: `must be at most ${state.size}` }]);
  if (from > to) throw invalid([{ field: 'from', message: `must be at most ${to}` }]);
  const [fromRoot, toRoot, proof] = await Promise.all([
    reader.root(state, from),
    reader.root(state, to),
    reader.consistency(state, from, to),
  ]);
  return { from, to, fromRoot: base64(fromRoot), toRoot: base64(toRoot), proof: proof.map(base64) };
}

/** What witnesses said of this very note: of another note over the same size they said nothing. */
async function cosignaturesOf(
  sql: Knex,
  origin: string,
  size: number,
  note: string,
): Promise<readonly string[]> {
  return sql('audit_cosignatures as s')
    .join('audit_checkpoints as c', { 'c.origin': 's.origin', 'c.size': 's.size' })
    .where({ 's.origin': origin, 's.size': size, 'c.note': note })
    .orderBy('s.witness')
    .pluck('s.line');
}

async function checkpoints(
  sql: Knex,
  receipts: Receipts,
  { from = 0, limit = 50 }: Static<typeof CheckpointsQuery>,
) {
  const head = await receipts.head();
  const rows = await sql('audit_checkpoints as c')
    .leftJoin('audit_cosignatures as s', { 's.origin': 'c.origin', 's.size': 'c.size' })
    .where('c.origin', head?.origin ?? '')
    .where('c.size', '>=', from)
    .groupBy('c.size', 'c.note', 'c.at')
    .orderBy('c.size')
    .limit(limit + 1)
    .select(
      'c.size',
      'c.note',
      'c.at',
      sql.raw(`coalesce(array_agg(s.line) filter (where s.line is not null), '{}') as cosignatures`),
    );
  const next = rows.length > limit ? rows[limit]?.size : undefined;
  return { data: rows.slice(0, limit), meta: { nextCursor: next === undefined ? null : String(next) } };
}

async function keys(sql: Knex): Promise<Static<typeof Key>[]> {
  const rows = await sql('access_audit_keys')
    // With its table: the text below has the same name.
    .orderBy('access_audit_keys.position')
    .select(
      'key',
      'key_id',
      'origin',
      'since',
      'until',
      'statement',
      'because',
      sql.raw('position::text as position'),
    );
  return rows.map(({ key_id: keyId, ...row }) => ({ keyId, ...row }));
}

async function witnesses(sql: Knex): Promise<Static<typeof Witness>[]> {
  const rows = await sql('audit_witnesses').orderBy('name').select();
  return rows.map(({ name, kind, origin, size, seen_at: seenAt, problem, failing_since: failingSince }) => ({
    name,
    kind,
    origin,
    size,
    seenAt,
    problem,
    failingSince,
  }));
}
