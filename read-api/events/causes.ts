/**
 * What led to an event and what came of it: the events of its correlation as a tree, up to the request it began with and down
 * to its last effects. Events of apps only; those of other contexts stand alone.
 */
import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox';
import type { Knex } from 'knex';
import type { Metadata } from '../../domain/events.ts';
import { Refusal } from '../../domain/kernel/refusal.ts';
import type { StoredLog } from '../../eventstore/store.ts';
import { type Identity, reaches, requireApp } from '../../platform/auth.ts';
import { After, type Freshness } from '../fresh.ts';
import { nullable, Position, Text, Time } from '../shapes.ts';

const nodesMax = 2_000;

const Node = Type.Object({
  position: Position,
  eventId: Text,
  type: Text,
  stream: Text,
  appId: Text,
  at: Time,
  actor: Text,
  causationId: Text,
  depth: Type.Integer({ description: 'Steps from the event that was asked for; negative: before it' }),
});
const Causes = Type.Object({
  event: Node,
  correlationId: Text,
  command: nullable(
    Type.String({ description: 'The request it all began with; null where the platform began by itself' }),
  ),
  causes: Type.Array(Node, { description: 'From the first cause to the nearest' }),
  effects: Type.Array(Node, { description: 'Each behind what led to it, in the order of the log' }),
  others: Type.Integer({ description: 'How many more events of the same correlation there are' }),
  isCut: Type.Boolean({
    description: `There are more than ${nodesMax}; the tree is made from the first of them`,
  }),
});

type NodeRow = {
  position: string;
  event_id: string;
  type: string;
  stream: string;
  app_id: string;
  at: string;
  actor: string;
  causation_id: string;
};

export type CauseDeps = { readonly sql: Knex; readonly fresh: Freshness; readonly stored: StoredLog };

export function causeReads({ sql, fresh, stored }: CauseDeps): FastifyPluginAsyncTypebox {
  return async app => {
    app.addHook('preHandler', fresh.check);
    app.get(
      '/events/:event/causes',
      {
        config: { scope: 'apps:read' },
        schema: {
          tags: ['why'],
          summary: 'What led to an event of an app, and what came of it',
          params: Type.Object({
            event: Type.String({ pattern: '^[0-9]{1,18}$', description: 'Its position in the log' }),
          }),
          querystring: Type.Object(After),
          response: { 200: Type.Object({ data: Causes }) },
        },
      },
      async ({ params, identity }) => ({ data: await causesOf({ sql, stored }, params.event, identity) }),
    );
  };
}

async function causesOf(
  { sql, stored }: Pick<CauseDeps, 'sql' | 'stored'>,
  position: string,
  identity: Identity,
) {
  const event = await stored.at(BigInt(position));
  const { appId } = (event?.data ?? {}) as { appId?: string };
  const known =
    appId === undefined ? undefined : await sql('apps_history').where({ app_id: appId, position }).first();
  if (appId === undefined || known === undefined) throw new Refusal('not-found', { position });
  requireApp(identity, appId);
  const correlationId: string = known.correlation_id;
  const rows: NodeRow[] = await sql('apps_history')
    .where({ correlation_id: correlationId })
    .orderBy('apps_history.position')
    .limit(nodesMax + 1)
    .select('*', sql.raw('position::text as position'));
  const isCut = rows.length > nodesMax;
  const seen = rows.slice(0, nodesMax).filter(({ app_id: id }) => reaches(identity, id));
  const asked = seen.find(row => row.position === position);
  if (asked === undefined) throw new Refusal('not-found', { position });
  const byId = new Map(seen.map(row => [row.event_id, row]));
  const causes = causesAbove(asked, byId);
  const effects = effectsBelow(asked, seen);
  const first = causes[0]?.row ?? asked;
  const { request } = ((await stored.at(BigInt(first.position)))?.metadata ?? {}) as Partial<Metadata>;
  return {
    event: nodeOf(asked, 0),
    correlationId,
    command: request?.route ?? null,
    causes: causes.map(({ row, depth }) => nodeOf(row, depth)),
    effects: effects.map(({ row, depth }) => nodeOf(row, depth)),
    others: seen.length - causes.length - effects.length - 1,
    isCut,
  };
}

type Placed = { readonly row: NodeRow; readonly depth: number };

/** An event is stored after what led to it, so the way up has an end. */
function causesAbove(asked: NodeRow, byId: ReadonlyMap<string, NodeRow>): readonly Placed[] {
  const found: Placed[] = [];
  let at = byId.get(asked.causation_id);
  while (at !== undefined && found.length < nodesMax) {
    found.push({ row: at, depth: -found.length - 1 });
    at = byId.get(at.causation_id);
  }
  return found.reverse();
}

function effectsBelow(asked: NodeRow, rows: readonly NodeRow[]): readonly Placed[] {
  const below = Map.groupBy(rows, row => row.causation_id);
  const found: Placed[] = [];
  const waiting: Placed[] = [{ row: asked, depth: 0 }];
  for (let at = waiting.pop(); at !== undefined && found.length <= nodesMax; at = waiting.pop()) {
    if (at.depth > 0) found.push(at);
    const { depth } = at;
    const next = below.get(at.row.event_id) ?? [];
    waiting.push(...next.map(row => ({ row, depth: depth + 1 })).reverse());
  }
  return found;
}

function nodeOf(row: NodeRow, depth: number) {
  return {
    position: row.position,
    eventId: row.event_id,
    type: row.type,
    stream: row.stream,
    appId: row.app_id,
    at: row.at,
    actor: row.actor,
    causationId: row.causation_id,
    depth,
  };
}
