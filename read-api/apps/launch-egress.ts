/** Which hosts a launch may reach, and what it was refused. */
import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox';
import type { Knex } from 'knex';
import { AfterOnly, type Freshness } from '../fresh.ts';
import { Count, oneOf, Text, Time } from '../shapes.ts';
import { LaunchParams, presentLaunch } from './launch.ts';

const config = {
  scope: 'apps:read',
  nowOnly: 'What an app was refused is counted beside the log, and not kept by time.',
} as const;
const rowsMax = 200;

const Denied = Type.Object({
  host: Type.String({ description: 'A name; … for further ones that are not told apart' }),
  port: Count,
  reason: Type.Union([
    Type.Literal('not-allowed', { description: 'It is not on the list of the app' }),
    Type.Literal('private-address', { description: 'It has no public address' }),
    Type.Literal('too-much', { description: 'The app has sent and received as much as it may in an hour' }),
  ]),
  count: Count,
  firstAt: Time,
  lastAt: Time,
});

export function launchEgressReads(deps: { sql: Knex; fresh: Freshness }): FastifyPluginAsyncTypebox {
  const { sql, fresh } = deps;
  return async app => {
    app.addHook('preHandler', fresh.check);
    app.get(
      '/launches/:launchId/egress',
      {
        config,
        schema: {
          tags: ['launches'],
          summary: 'Hosts that the app may reach, and those that it was refused, the latest first',
          params: LaunchParams,
          querystring: Type.Object(AfterOnly),
          response: { 200: oneOf(Type.Object({ hosts: Type.Array(Text), denied: Type.Array(Denied) })) },
        },
      },
      async request => {
        const { launchId } = request.params;
        const { sandbox } = await presentLaunch(sql, launchId, request.identity);
        const { egress: hosts } = sandbox as { egress: string[] };
        return { data: { hosts, denied: await deniedOf(sql, launchId) } };
      },
    );
  };
}

/** Workers make the table, perhaps not yet. */
async function deniedOf(sql: Knex, launchId: string) {
  const rows = await sql('launch_egress_denials')
    .where({ launch_id: launchId })
    .orderBy('last_at', 'desc')
    .limit(rowsMax)
    .catch(error => {
      if (error.code === '42P01') return [];
      throw error;
    });
  return rows.map(row => ({
    host: row.host,
    port: row.port,
    reason: row.reason,
    count: Number(row.count),
    firstAt: row.first_at,
    lastAt: row.last_at,
  }));
}
