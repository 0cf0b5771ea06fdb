/** Apps as they are now: what their owners say, what was found in their repositories, how their newest build stands. */
import { type FastifyPluginAsyncTypebox, type Static, Type } from '@fastify/type-provider-typebox';
import type { Knex } from 'knex';
import type { Inspection, Preview } from '../../domain/apps/ingestion.ts';
import { confined } from '../../domain/apps/sandbox.ts';
import { appIdPattern } from '../../domain/kernel/limits.ts';
import { Refusal } from '../../domain/kernel/refusal.ts';
import { After, type Freshness } from '../fresh.ts';
import { Count, nullable, oneOf, Text, Time } from '../shapes.ts';
import { Build, type BuildRow, buildOf } from './build.ts';
import { placesOf } from './build-queue.ts';
import { Sandbox } from './sandbox.ts';
import { tagsOf } from './tag.ts';

export const App = Type.Object({
  id: Text,
  name: Text,
  description: nullable(Text),
  repoUrl: Text,
  ref: nullable(Text),
  dockerfilePath: nullable(Text),
  homepage: nullable(Text),
  owner: nullable(Text),
  tags: Type.Array(Type.Object({ key: Text, value: Text, source: Text })),
  status: Type.Union(['pending', 'processing', 'ready', 'failed', 'archived'].map(one => Type.Literal(one))),
  statusMessage: nullable(Text),
  title: nullable(Text),
  commit: nullable(Text),
  branch: nullable(Text),
  previews: Type.Array(Type.Object({ kind: Text, title: nullable(Text), url: Text })),
  ports: Type.Array(Count),
  build: nullable(Build),
  release: nullable(Type.Object({ buildId: Text, image: Text, commit: Text })),
  launch: Type.Object({ running: Count }),
  sandbox: Sandbox,
  createdAt: Time,
  updatedAt: Time,
  ingestedAt: nullable(Time),
  ingestion: nullable(Type.Object({ run: Count, attempt: Count, cause: nullable(Text) })),
});
export type App = Static<typeof App>;

type Row = Record<string, unknown> & {
  app_id: string;
  archived: boolean;
  run: number;
  inspection: Inspection | null;
  release: { buildId: string; image: string; commit: string } | null;
};

/** These apps in this order; those that do not exist are left out. Costs four queries, and a few more where builds wait. */
export async function loadApps(sql: Knex, ids: readonly string[]): Promise<App[]> {
  if (ids.length === 0) return [];
  const [rows, newest, running, tags] = await Promise.all([
    sql<Row>('apps_repositories').whereIn('app_id', ids) as Promise<Row[]>,
    sql('apps_builds')
      .distinctOn('app_id')
      .whereIn('app_id', ids)
      .orderBy([{ column: 'app_id' }, { column: 'requested_at', order: 'desc' }]) as Promise<BuildRow[]>,
    sql('apps_launches')
      .whereIn('app_id', ids)
      .where({ status: 'running' })
      .groupBy('app_id')
      .select('app_id')
      .count('* as count'),
    tagsOf(sql, ids),
  ]);
  const places = await placesOf(sql, newest);
  const rowOf = new Map(rows.map(row => [row.app_id, row]));
  const buildOfApp = new Map(newest.map(row => [row.app_id, row]));
  const runningOf = new Map(running.map(row => [row.app_id, Number(row.count)]));
  return ids.flatMap(id => {
    const row = rowOf.get(id);
    if (row === undefined) return [];
    const build = buildOfApp.get(id);
    return [
      {
        ...describe(row),
        tags: tags.get(id) ?? [],
        build: build === undefined ? null : buildOf(build, places.get(build.build_id)),
        launch: { running: runningOf.get(id) ?? 0 },
      } as App,
    ];
  });
}

function describe(row: Row) {
  const { inspection, release } = row;
  return {
    id: row.app_id,
    name: row.name,
    description: row.description ?? inspection?.description ?? null,
    repoUrl: row.repo_url,
    ref: row.ref,
    dockerfilePath: row.dockerfile_path ?? inspection?.dockerfilePath ?? null,
    homepage: row.homepage ?? inspection?.homepage ?? null,
    owner: row.owner,
    status: row.archived ? 'archived' : row.ingest_status,
    statusMessage: row.status_message,
    title: inspection?.title ?? null,
    commit: row.commit,
    branch: row.branch,
    previews: (inspection?.previews ?? []).map(previewOf),
    ports: inspection?.ports ?? [],
    release:
      release === null ? null : { buildId: release.buildId, image: release.image, commit: release.commit },
    sandbox: row.sandbox ?? confined,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    ingestedAt: row.ingested_at,
    ingestion: row.run === 0 ? null : { run: row.run, attempt: row.attempt, cause: row.cause },
  };
}

const previewOf = ({ kind, title, url, sha256 }: Preview) => ({
  kind,
  title,
  url: sha256 === null ? url : `/pictures/${sha256}`,
});

export function repositoryReads(deps: { sql: Knex; fresh: Freshness }): FastifyPluginAsyncTypebox {
  return async app => {
    app.addHook('preHandler', deps.fresh.check);
    app.get(
      '/apps/:appId',
      {
        config: { scope: 'apps:read' },
        schema: {
          tags: ['apps'],
          summary: 'One app',
          params: Type.Object({ appId: Type.String({ pattern: appIdPattern }) }),
          querystring: Type.Object(After),
          response: { 200: oneOf(App) },
        },
      },
      async request => {
        const { appId } = request.params;
        const [found] = await loadApps(deps.sql, [appId]);
        if (found === undefined) throw new Refusal('not-found', { appId });
        return { data: found };
      },
    );
  };
}
