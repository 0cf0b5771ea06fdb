/** The containers a launch has had, newest first: what each was for, which build it ran, and how it ended. */
import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox';
import type { Knex } from 'knex';
import { After, type Freshness } from '../fresh.ts';
import { Count, listOf, nullable, Text, Time } from '../shapes.ts';
import { Failure, presentLaunch } from './launch.ts';

const rowsMax = 100;
const over = ['stopped', 'expired', 'failed'];

const Deployment = Type.Object({
  deployment: Count,
  cause: Text,
  status: Text,
  buildId: Text,
  image: Text,
  commit: nullable(Text),
  /** Why there is no image of its build any more; null while there is one. */
  imageRemoved: nullable(Text),
  engine: nullable(Text),
  startedInMs: nullable(Count),
  failure: nullable(Failure),
  requestedAt: Time,
  notBefore: nullable(Time),
  runningAt: nullable(Time),
  goneAt: nullable(Time),
});

export function deploymentReads({ sql, fresh }: { sql: Knex; fresh: Freshness }): FastifyPluginAsyncTypebox {
  return async app => {
    app.addHook('preHandler', fresh.check);
    app.get(
      '/launches/:launchId/deployments',
      {
        config: { scope: 'apps:read' },
        schema: {
          tags: ['launches'],
          summary: 'The newest hundred containers that a launch has had',
          params: Type.Object({ launchId: Type.String({ format: 'uuid' }) }),
          querystring: Type.Object(After),
          response: { 200: listOf(Deployment) },
        },
      },
      async request => {
        const { launchId } = request.params;
        const launch = await presentLaunch(sql, launchId, request.identity);
        const rows = await sql('apps_deployments as d')
          .leftJoin('apps_builds as b', 'b.build_id', 'd.build_id')
          .leftJoin('apps_images as i', 'i.build_id', 'd.build_id')
          .where('d.launch_id', launchId)
          .orderBy('d.deployment', 'desc')
          .limit(rowsMax)
          .select('d.*', 'b.commit', 'i.place as image_place', 'i.reason as image_reason');
        const isOver = over.includes(launch.status);
        return { data: rows.map(row => deploymentOf(row, isOver)), meta: { nextCursor: null } };
      },
    );
  };
}

function deploymentOf(row: Record<string, unknown>, isOver: boolean) {
  return {
    deployment: row.deployment,
    cause: row.cause,
    status: isOver ? 'gone' : row.status,
    buildId: row.build_id,
    image: row.image,
    commit: row.commit,
    imageRemoved: row.image_place === 'present' ? null : (row.image_reason ?? null),
    engine: row.engine,
    startedInMs: row.started_in_ms,
    failure: row.failure,
    requestedAt: row.requested_at,
    notBefore: row.not_before,
    runningAt: row.running_at,
    goneAt: row.gone_at,
  } as never;
}
