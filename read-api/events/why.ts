/**
 * Why something is as it is: for each value of an app, a build, a launch or a workspace the event that set it, who did that, by
 * which command, and after what. Read from the streams themselves: it costs one pass over those of this one thing.
 */
import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox';
import type { Knex } from 'knex';
import type { Json, Recorded } from '../../domain/events.ts';
import { appIdPattern } from '../../domain/kernel/limits.ts';
import { Refusal } from '../../domain/kernel/refusal.ts';
import type { EventStore } from '../../eventstore/store.ts';
import { type Identity, requireApp } from '../../platform/auth.ts';
import { hadHappened } from '../as-of.ts';
import { After, type Freshness } from '../fresh.ts';
import { nullable, Position, Text, Time } from '../shapes.ts';

const tags = ['why'];
const config = { scope: 'apps:read' } as const;
const fieldCharsMax = 200;
const changesMax = 1_000;

/** The streams that a thing is made from, and the rows that it is; `''` marks the one whose columns need no prefix. */
type Kind = {
  readonly id: string;
  readonly param: object;
  readonly main: string;
  readonly streams: (id: string) => readonly string[];
  readonly rows: (id: string) => Readonly<Record<string, Row>>;
};

const uuid = { type: 'string', format: 'uuid' } as const;
const kinds: Readonly<Record<string, Kind>> = {
  apps: {
    id: 'appId',
    param: { type: 'string', pattern: appIdPattern },
    main: 'apps_repositories',
    streams: id => [`apps.repository-${id}`, `apps.ingestion-${id}`],
    rows: id => ({ apps_repositories: { app_id: id }, apps_tags: { app_id: id } }),
  },
  builds: {
    id: 'buildId',
    param: uuid,
    main: 'apps_builds',
    streams: id => [`apps.build-${id}`],
    rows: id => ({ apps_builds: { build_id: id }, apps_build_images: { build_id: id } }),
  },
  launches: {
    id: 'launchId',
    param: uuid,
    main: 'apps_launches',
    streams: id => [`apps.launch-${id}`],
    rows: id => ({ apps_launches: { launch_id: id }, apps_deployments: { launch_id: id } }),
  },
  workspaces: {
    id: 'workspaceId',
    param: uuid,
    main: 'apps_workspaces',
    streams: id => [`apps.workspace-${id}`],
    rows: id => ({ apps_workspaces: { workspace_id: id }, apps_workspace_snapshots: { workspace_id: id } }),
  },
};

const Event = Type.Object({
  position: Position,
  eventId: Text,
  type: Text,
  stream: Text,
  at: Time,
  actor: Text,
  command: nullable(
    Type.String({
      description: 'Method and pattern of the request; null where the platform acted by itself',
    }),
  ),
  correlationId: Text,
  causationId: Text,
  cause: nullable(
    Type.Object(
      { position: Position, type: Text, actor: Text },
      { description: 'The event that led to this one; null where a request did' },
    ),
  ),
});
const Value = Type.Unknown();
const Field = Type.Object({
  field: Type.String({
    description: 'The name of the value; of a part of the thing with its key, such as deployments[2].status',
  }),
  value: Value,
  event: Event,
  changes: Type.Array(Type.Object({ value: Value, event: Event }), {
    description: `Every change, newest first, at most ${changesMax}; empty unless one field is asked for`,
  }),
});

const Query = Type.Object({
  field: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: fieldCharsMax,
      description: 'Only this one, with all its changes',
    }),
  ),
  ...After,
});

/** As projections/blame.ts has them: the reads know tables, and not how they are made. */
type Row = { readonly [column: string]: Json };
type Change = { readonly value: Json; readonly event: Recorded };
type BlamedRow = {
  readonly table: string;
  readonly key: Row;
  readonly columns: ReadonlyMap<string, readonly Change[]>;
};

export type WhyDeps = {
  readonly sql: Knex;
  readonly fresh: Freshness;
  readonly store: EventStore;
  /** Folds events and says who set each value of the wanted rows. */
  readonly blame: (
    wanted: Readonly<Record<string, Row>>,
    events: readonly Recorded[],
  ) => readonly BlamedRow[];
};

export function whyReads({ sql, fresh, store, blame }: WhyDeps): FastifyPluginAsyncTypebox {
  return async app => {
    app.addHook('preHandler', fresh.check);
    for (const [name, kind] of Object.entries(kinds)) {
      app.get(
        `/${name}/:${kind.id}/why`,
        {
          config,
          schema: {
            tags,
            summary: `The event that set each value of one of the ${name}: who, by what, after what`,
            params: Type.Object({ [kind.id]: Type.Unsafe<string>(kind.param) }),
            querystring: Query,
            response: { 200: Type.Object({ data: Type.Array(Field) }) },
          },
        },
        async ({ params, query, identity }) => {
          const id = String((params as Record<string, string>)[kind.id]);
          return { data: await why({ sql, store, blame }, kind, id, query.field, identity) };
        },
      );
    }
  };
}

async function why(
  { sql, store, blame }: Pick<WhyDeps, 'sql' | 'store' | 'blame'>,
  kind: Kind,
  id: string,
  field: string | undefined,
  identity: Identity,
) {
  const row = await sql(kind.main)
    .where({ [Object.keys(kind.rows(id)[kind.main] ?? {})[0] ?? '']: id })
    .first('app_id');
  if (row === undefined) throw new Refusal('not-found', { [kind.id]: id });
  requireApp(identity, row.app_id);
  const streams = await Promise.all(kind.streams(id).map(stream => store.load(stream)));
  const events = streams
    .flatMap(({ events }) => events.filter(hadHappened))
    .sort((a, b) => (a.position < b.position ? -1 : a.position > b.position ? 1 : 0));
  const found = blame(kind.rows(id), events).flatMap(row => fieldsOf(kind, row));
  const asked = field === undefined ? found : found.filter(one => one.field === field);
  if (field !== undefined && asked.length === 0) throw new Refusal('not-found', { field });
  const causes = await causesOf(
    sql,
    asked.flatMap(({ changes }) => changes),
  );
  const told = ({ value, event }: Change) => ({ value, event: eventOf(event, causes) });
  return asked.flatMap(({ field: name, changes }) => {
    const last = changes.at(-1);
    if (last === undefined) return [];
    const all = field === undefined ? [] : changes.slice(-changesMax).reverse();
    return [{ field: name, ...told(last), changes: all.map(told) }];
  });
}

/** Columns in the words of the API. Of a part: `deployments[2].status`. */
function fieldsOf(kind: Kind, { table, key, columns }: BlamedRow) {
  const of = Object.values(key).slice(1).join(', ');
  const part = table.replace(/^apps_(build_|workspace_)?/, '');
  const before = table === kind.main ? '' : of === '' ? `${part}.` : `${part}[${of}].`;
  return [...columns].map(([column, changes]) => ({ field: `${before}${camel(column)}`, changes }));
}

const camel = (name: string) => name.replace(/_([a-z])/g, (_all, letter: string) => letter.toUpperCase());

type Cause = { position: string; type: string; actor: string };

/** The events that led to these, by their id: one look at the correlations they belong to. */
async function causesOf(sql: Knex, changes: readonly Change[]): Promise<ReadonlyMap<string, Cause>> {
  const ids = [...new Set(changes.map(({ event }) => event.metadata.causationId))];
  const correlations = [...new Set(changes.map(({ event }) => event.metadata.correlationId))];
  const rows = await sql('apps_history')
    .whereIn('correlation_id', correlations)
    .whereIn('event_id', ids)
    .select('event_id', 'type', 'actor', sql.raw('position::text as position'));
  return new Map(rows.map(({ event_id: id, position, type, actor }) => [id, { position, type, actor }]));
}

function eventOf(event: Recorded, causes: ReadonlyMap<string, Cause>) {
  const { metadata } = event;
  return {
    position: event.position.toString(),
    eventId: event.id,
    type: event.type,
    stream: event.stream,
    at: event.created,
    actor: metadata.actor,
    command: metadata.request?.route ?? null,
    correlationId: metadata.correlationId,
    causationId: metadata.causationId,
    cause: causes.get(metadata.causationId) ?? null,
  };
}
