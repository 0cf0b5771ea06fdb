/** What the builds of an app are given: their arguments, and the names of their secrets. */
import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox';
import type { Knex } from 'knex';
import { appIdPattern } from '../../domain/kernel/limits.ts';
import { After, type Freshness } from '../fresh.ts';
import { refuseUnknownApp } from '../known-app.ts';
import { Count, oneOf, Text, Time } from '../shapes.ts';

const params = Type.Object({ appId: Type.String({ pattern: appIdPattern }) });
const querystring = Type.Object(After);
const tags = ['builds'];

const Secret = Type.Object({
  name: Text,
  version: Count,
  setBy: Text,
  setAt: Time,
  /** Whether it was set for the source the app has now; others are given to no build. */
  isGiven: Type.Boolean(),
});

export function buildInputReads(deps: { sql: Knex; fresh: Freshness }): FastifyPluginAsyncTypebox {
  const { sql, fresh } = deps;
  return async app => {
    app.addHook('preHandler', fresh.check);
    app.get(
      '/apps/:appId/build-args',
      {
        config: { scope: 'apps:read' },
        schema: {
          tags,
          summary: 'The arguments of the app’s builds',
          params,
          querystring,
          response: { 200: oneOf(Type.Object({ args: Type.Record(Text, Text) })) },
        },
      },
      async request => {
        const { appId } = request.params;
        await refuseUnknownApp(sql, appId);
        const row = await sql('apps_build_args').where({ app_id: appId }).first('args');
        return { data: { args: row?.args ?? {} } };
      },
    );
    app.get(
      '/apps/:appId/build-secrets',
      {
        config: { scope: 'secrets:read' },
        schema: {
          tags,
          summary: 'The names of the secrets that the app’s builds may mount',
          params,
          querystring,
          response: { 200: oneOf(Type.Array(Secret)) },
        },
      },
      async request => {
        const { appId } = request.params;
        await refuseUnknownApp(sql, appId);
        const rows = await sql('apps_build_secrets as s')
          .leftJoin('apps_repositories as a', 'a.app_id', 's.app_id')
          .where('s.app_id', appId)
          .orderBy('s.name')
          .select('s.name', 's.version', 's.set_by', 's.set_at', sql.raw('a.repo_url = s.repo_url as given'));
        return {
          data: rows.map(row => ({
            name: row.name,
            version: row.version,
            setBy: row.set_by,
            setAt: row.set_at,
            isGiven: row.given === true,
          })),
        };
      },
    );
  };
}
