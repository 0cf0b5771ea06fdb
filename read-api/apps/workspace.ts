/** Workspaces: what each holds and may hold, who has it, what is being done with it, and its snapshots. */
import { type FastifyPluginAsyncTypebox, type Static, Type } from '@fastify/type-provider-typebox';
import type { Knex } from 'knex';
import { appIdPattern } from '../../domain/kernel/limits.ts';
import { Refusal } from '../../domain/kernel/refusal.ts';
import { type Identity, requireApp } from '../../platform/auth.ts';
import { isPast } from '../as-of.ts';
import { After, type Freshness } from '../fresh.ts';
import { refuseUnknownApp } from '../known-app.ts';
import { whyNoDocker } from '../machine.ts';
import { newestFirst, type PageQuery } from '../page.ts';
import { Count, listOf, nullable, oneOf, Paging, Text, Time } from '../shapes.ts';

const config = { scope: 'apps:read' } as const;
const tags = ['workspaces'];
const table = 'apps_workspaces';
const snapshotRowsMax = 200;

const statuses = ['empty', 'filling', 'ready', 'snapshot', 'restore', 'broken', 'removing'] as const;

const Workspace = Type.Object({
  id: Text,
  appId: Text,
  name: Text,
  owner: Text,
  status: Type.Union(
    statuses.map(one => Type.Literal(one)),
    {
      description: '`snapshot` and `restore`: what is being done; `filling`: a clone that has no content yet',
    },
  ),
  bytes: nullable(Type.Integer({ description: 'What it held when it was weighed last' })),
  weighedAt: nullable(Time),
  bytesMax: Count,
  level: Type.Union([Type.Literal('fits'), Type.Literal('nearly'), Type.Literal('full')], {
    description: '`nearly`: from 80 % on; what is `full` is not started',
  }),
  paths: Type.Array(Text, { description: 'The folders of the app that are kept' }),
  engine: nullable(Text),
  launchId: nullable(Text),
  source: nullable(Type.Object({ workspaceId: Text, snapshotId: Text })),
  failure: nullable(Text),
  snapshots: Count,
  requestedAt: Time,
  operationAt: nullable(Time),
  restoredAt: nullable(Time),
  waitingFor: nullable(Text),
});

const Snapshot = Type.Object({
  id: Text,
  workspaceId: Text,
  status: Type.Union(['asked', 'taken', 'failed', 'removing'].map(one => Type.Literal(one))),
  live: Type.Boolean(),
  bytes: nullable(Type.Integer({ description: 'In the object store' })),
  contentBytes: nullable(Type.Integer({ description: 'All files together' })),
  entries: nullable(Count),
  sha256: nullable(Text),
  paths: Type.Array(Text),
  pausedMs: nullable(Type.Integer({ description: 'How long a container stood still for it' })),
  reason: nullable(Text),
  requestedAt: Time,
  takenAt: nullable(Time),
});

type WorkspaceRow = { workspace_id: string; requested_at: string } & Record<string, unknown>;
type Seen = {
  weights: Map<string, Record<string, unknown>>;
  counts: Map<string, number>;
  noDocker: string | null;
};

const Params = Type.Object({ workspaceId: Type.String({ format: 'uuid' }) });
const Query = Type.Object({ ...After, ...Paging });

export function workspaceReads({ sql, fresh }: { sql: Knex; fresh: Freshness }): FastifyPluginAsyncTypebox {
  const page = async (query: PageQuery, { apps }: Identity, appId?: string) => {
    const of = { table, id: 'workspace_id', appId, apps };
    const { rows, nextCursor } = await newestFirst<WorkspaceRow>(sql, of, query);
    if (rows.length === 0 && appId !== undefined) await refuseUnknownApp(sql, appId);
    const seen = await look(sql, rows);
    return { data: rows.map(row => workspaceOf(row, seen)), meta: { nextCursor } };
  };

  return async app => {
    app.addHook('preHandler', fresh.check);
    const response = { 200: listOf(Workspace) };
    app.get(
      '/workspaces',
      { config, schema: { tags, summary: 'All workspaces, newest first', querystring: Query, response } },
      request => page(request.query, request.identity),
    );
    app.get(
      '/apps/:appId/workspaces',
      {
        config,
        schema: {
          tags,
          summary: 'Workspaces of an app, newest first',
          params: Type.Object({ appId: Type.String({ pattern: appIdPattern }) }),
          querystring: Query,
          response,
        },
      },
      request => page(request.query, request.identity, request.params.appId),
    );
    app.get(
      '/workspaces/:workspaceId',
      {
        config,
        schema: {
          tags,
          summary: 'One workspace',
          params: Params,
          querystring: Type.Object(After),
          response: { 200: oneOf(Workspace) },
        },
      },
      async request => {
        const row = await presentWorkspace(sql, request.params.workspaceId, request.identity);
        return { data: workspaceOf(row, await look(sql, [row])) };
      },
    );
    app.get(
      '/workspaces/:workspaceId/snapshots',
      {
        config,
        schema: {
          tags,
          summary: 'Snapshots of a workspace, newest first, also those that could not be taken',
          params: Params,
          querystring: Type.Object(After),
          response: { 200: listOf(Snapshot) },
        },
      },
      async request => {
        const { workspaceId } = request.params;
        await presentWorkspace(sql, workspaceId, request.identity);
        const rows = await sql('apps_workspace_snapshots')
          .where({ workspace_id: workspaceId })
          .orderBy([
            { column: 'requested_at', order: 'desc' },
            { column: 'snapshot_id', order: 'desc' },
          ])
          .limit(snapshotRowsMax);
        return { data: rows.map(snapshotOf), meta: { nextCursor: null } };
      },
    );
  };
}

/** Rejects with 404 where there is none, and with 403 where the asker may not reach its app. */
async function presentWorkspace(sql: Knex, workspaceId: string, identity: Identity): Promise<WorkspaceRow> {
  const row = await sql(table).where({ workspace_id: workspaceId }).first();
  if (row === undefined) throw new Refusal('not-found', { workspaceId });
  requireApp(identity, row.app_id);
  return row;
}

/** What is not in the row itself. What a workspace weighs the workers note beside the log. */
async function look(sql: Knex, rows: readonly WorkspaceRow[]): Promise<Seen> {
  const ids = rows.map(row => row.workspace_id);
  // Before there have been workers, there is no such table; of an earlier time nothing is known.
  const weights: Record<string, unknown>[] = isPast()
    ? []
    : await sql('worker_workspaces')
        .whereIn('workspace_id', ids)
        .catch(() => []);
  const counts = await sql('apps_workspace_snapshots')
    .whereIn('workspace_id', ids)
    .whereNot({ status: 'failed' })
    .groupBy('workspace_id')
    .select('workspace_id', sql.raw('count(*)::int as count'));
  return {
    weights: new Map(weights.map(one => [String(one.workspace_id), one])),
    counts: new Map(counts.map(one => [one.workspace_id, one.count])),
    noDocker: await whyNoDocker(sql),
  };
}

function statusOf({ operation, status, source }: Record<string, unknown>): (typeof statuses)[number] {
  if (operation === 'restore' && status === 'empty' && source !== null) return 'filling';
  return (operation ?? status) as (typeof statuses)[number];
}

function workspaceOf(row: WorkspaceRow, { weights, counts, noDocker }: Seen): Static<typeof Workspace> {
  const weighed = weights.get(row.workspace_id);
  const weight = weighed?.generation === row.generation ? weighed : undefined;
  const volumes = (row.volumes ?? []) as { path: string }[];
  const source = row.source as { workspaceId: string; snapshotId: string } | null;
  return {
    id: row.workspace_id,
    appId: row.app_id,
    name: row.name,
    owner: row.owner,
    status: statusOf(row),
    bytes: weight === undefined ? null : Number(weight.bytes),
    weighedAt: weight?.weighed_at ?? null,
    bytesMax: Number(row.bytes_max),
    level: row.level,
    paths: volumes.map(({ path }) => path),
    engine: row.engine,
    launchId: row.launch_id,
    source,
    failure: row.failure,
    snapshots: counts.get(row.workspace_id) ?? 0,
    requestedAt: row.requested_at,
    operationAt: row.operation_at,
    restoredAt: row.restored_at,
    waitingFor: row.operation !== null || row.status === 'removing' ? noDocker : null,
  } as never;
}

const numberOf = (value: unknown) => (value === null ? null : Number(value));

function snapshotOf(row: Record<string, unknown>): Static<typeof Snapshot> {
  return {
    id: row.snapshot_id,
    workspaceId: row.workspace_id,
    status: row.status,
    live: row.live,
    bytes: numberOf(row.bytes),
    contentBytes: numberOf(row.content_bytes),
    entries: row.entries,
    sha256: row.sha256,
    paths: row.paths ?? [],
    pausedMs: row.paused_ms,
    reason: row.reason,
    requestedAt: row.requested_at,
    takenAt: row.taken_at,
  } as never;
}
