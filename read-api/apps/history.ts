/** Everything that ever happened to an app, and the timelines of its ingestions. */
import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox';
import type { Knex } from 'knex';
import { appIdPattern, ingestionAttemptsMax } from '../../domain/kernel/limits.ts';
import { cursorOf, numberValue, placeOf, querySum } from '../cursor.ts';
import { After, type Freshness } from '../fresh.ts';
import { refuseUnknownApp } from '../known-app.ts';
import { Count, limitOf, listOf, nullable, Paging, Position, Text, Time } from '../shapes.ts';

const stepsMax = 5_000;

const HistoryEvent = Type.Object({
  position: Position,
  type: Text,
  stream: Text,
  at: Time,
  actor: Text,
  correlationId: Text,
  causationId: Text,
  eventId: Text,
  data: Type.Object({}, { additionalProperties: true }),
});

const Step = Type.Object({
  status: Text,
  attempt: nullable(Count),
  message: nullable(Text),
  commit: nullable(Text),
  durationMs: nullable(Count),
  at: Time,
});
const Ingestion = Type.Object({
  run: Count,
  cause: Text,
  status: Text,
  attempt: Count,
  attemptsMax: Count,
  queuedAt: Time,
  startedAt: nullable(Time),
  finishedAt: nullable(Time),
  retryAt: nullable(Time),
  commit: nullable(Text),
  branch: nullable(Text),
  message: nullable(Text),
  durations: nullable(Type.Object({ cloneMs: Count, inspectMs: Count, storeMs: Count })),
  timeline: Type.Array(Step),
});

const statusOf: Readonly<Record<string, string>> = {
  IngestionQueued: 'queued',
  IngestionStarted: 'processing',
  IngestionAttemptFailed: 'failed-attempt',
  IngestionFailed: 'failed',
  IngestionSucceeded: 'ready',
  IngestionCancelled: 'cancelled',
};

type Data = {
  run?: number;
  attempt?: number;
  reason?: string;
  commit?: string;
  durationMs?: number;
  durations?: { cloneMs: number; inspectMs: number; storeMs: number };
};

const params = Type.Object({ appId: Type.String({ pattern: appIdPattern }) });
const querystring = Type.Object({ ...After, ...Paging });
const config = { scope: 'apps:read' } as const;

export function historyReads(deps: { sql: Knex; fresh: Freshness }): FastifyPluginAsyncTypebox {
  return async app => {
    app.addHook('preHandler', deps.fresh.check);
    app.get(
      '/apps/:appId/history',
      {
        config,
        schema: {
          tags: ['apps'],
          summary: 'Every event of the app, its ingestions, builds and launches, newest first',
          params,
          querystring,
          response: { 200: listOf(HistoryEvent) },
        },
      },
      request => historyPage(deps.sql, request.params.appId, request.query),
    );
    app.get(
      '/apps/:appId/ingestions',
      {
        config,
        schema: {
          tags: ['ingestions'],
          summary: 'Ingestions of the app with every step of theirs, newest first',
          params,
          querystring,
          response: { 200: listOf(Ingestion) },
        },
      },
      request => ingestionPage(deps.sql, request.params.appId, request.query),
    );
  };
}

type Query = { limit?: number; cursor?: string };

async function historyPage(sql: Knex, appId: string, query: Query) {
  const limit = limitOf(query);
  const sum = querySum(['history', appId]);
  const place = query.cursor === undefined ? undefined : placeOf(query.cursor, sum, numberValue);
  const found = sql('apps_history')
    .where({ app_id: appId })
    // With its table: the text below has the same name.
    .orderBy('apps_history.position', 'desc')
    .limit(limit + 1)
    .select('*', sql.raw('position::text as position'));
  if (place !== undefined) found.whereRaw('position < ?::bigint', [place.value]);
  const rows = await found;
  if (rows.length === 0) await refuseUnknownApp(sql, appId);
  const last = rows.length > limit ? rows[limit - 1] : undefined;
  return {
    data: rows.slice(0, limit).map(row => ({
      position: row.position,
      type: row.type,
      stream: row.stream,
      at: row.at,
      actor: row.actor,
      correlationId: row.correlation_id,
      causationId: row.causation_id,
      eventId: row.event_id,
      data: row.data,
    })),
    meta: {
      nextCursor: last === undefined ? null : cursorOf({ tier: 0, value: last.position, id: '' }, sum),
    },
  };
}

async function ingestionPage(sql: Knex, appId: string, query: Query) {
  const limit = limitOf(query);
  const sum = querySum(['ingestions', appId]);
  const place = query.cursor === undefined ? undefined : placeOf(query.cursor, sum, /^\d{1,9}$/);
  const found = sql('apps_ingestions')
    .where({ app_id: appId })
    .orderBy('run', 'desc')
    .limit(limit + 1);
  if (place !== undefined) found.where('run', '<', Number(place.value));
  const rows = await found;
  if (rows.length === 0) await refuseUnknownApp(sql, appId);
  const shown = rows.slice(0, limit);
  const timelines = await timelinesOf(sql, appId, shown.at(-1)?.run, shown[0]?.run);
  const last = rows.length > limit ? shown.at(-1) : undefined;
  return {
    data: shown.map(row => ({
      run: row.run,
      cause: row.cause,
      status: row.status,
      attempt: row.attempt,
      attemptsMax: ingestionAttemptsMax,
      queuedAt: row.queued_at,
      startedAt: row.started_at,
      finishedAt: row.finished_at,
      retryAt: row.retry_at,
      commit: row.commit,
      branch: row.branch,
      message: row.message,
      durations: row.durations,
      timeline: timelines.get(row.run) ?? [],
    })),
    meta: {
      nextCursor: last === undefined ? null : cursorOf({ tier: 0, value: String(last.run), id: '' }, sum),
    },
  };
}

/** The steps of the runs from `first` to `last`, in the order they happened. */
async function timelinesOf(sql: Knex, appId: string, first?: number, last?: number) {
  const timelines = new Map<number, Timeline>();
  if (first === undefined || last === undefined) return timelines;
  const rows: { type: string; data: Data; at: string }[] = await sql('apps_history')
    .where({ app_id: appId })
    .whereIn('type', Object.keys(statusOf))
    .whereRaw(`(data->>'run')::int between ? and ?`, [first, last])
    .orderBy('position')
    .limit(stepsMax)
    .select('type', 'data', 'at');
  for (const { type, data, at } of rows) {
    const { run = 0, durations } = data;
    const steps = timelines.get(run) ?? [];
    timelines.set(run, steps);
    const spent = durations && durations.cloneMs + durations.inspectMs + durations.storeMs;
    steps.push({
      status: statusOf[type] ?? type,
      attempt: data.attempt ?? null,
      message: data.reason ?? null,
      commit: data.commit ?? null,
      durationMs: data.durationMs ?? spent ?? null,
      at,
    });
  }
  return timelines;
}

type Timeline = {
  status: string;
  attempt: number | null;
  message: string | null;
  commit: string | null;
  durationMs: number | null;
  at: string;
}[];
