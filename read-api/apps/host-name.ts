/** Host names of somebody's own, and whether a server in front may get a certificate for a name. */
import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox';
import type { Knex } from 'knex';
import { appIdPattern, hostCharsMax } from '../../domain/kernel/limits.ts';
import { Refusal } from '../../domain/kernel/refusal.ts';
import { After, type Freshness } from '../fresh.ts';
import { refuseUnknownApp } from '../known-app.ts';
import { listOf, nullable, oneOf, Text, Time } from '../shapes.ts';

const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const rowsMax = 1_000;

const HostName = Type.Object({
  host: Text,
  appId: Text,
  /** The only launch it shows; null: the newest that runs. */
  launchId: nullable(Text),
  url: Text,
  claimedAt: Time,
});

const Known = Type.Object({ host: Text });

export type HostNameReadDeps = {
  readonly sql: Knex;
  readonly fresh: Freshness;
  readonly hostUrl: (host: string) => string;
  /** Launches are at `<launch>.<previewDomain>`. */
  readonly previewDomain: string;
};

export function hostNameReads(deps: HostNameReadDeps): FastifyPluginAsyncTypebox {
  const { sql, fresh, hostUrl, previewDomain } = deps;
  const check = async (host: string) => {
    const name = host.toLowerCase();
    const launchId = name.endsWith(`.${previewDomain}`)
      ? name.slice(0, -previewDomain.length - 1)
      : undefined;
    const isKnown = launchId === undefined ? await isClaimed(sql, name) : await isAlive(sql, launchId);
    if (!isKnown) throw new Refusal('not-found', { host: name });
    return { data: { host: name } };
  };

  return async app => {
    app.addHook('preHandler', fresh.check);
    app.get(
      '/apps/:appId/hosts',
      {
        config: { scope: 'apps:read' },
        schema: {
          tags: ['apps'],
          summary: 'Host names that lead to the app',
          params: Type.Object({ appId: Type.String({ pattern: appIdPattern }) }),
          querystring: Type.Object(After),
          response: { 200: listOf(HostName) },
        },
      },
      async request => {
        const { appId } = request.params;
        const rows = await sql('apps_host_names').where({ app_id: appId }).orderBy('host').limit(rowsMax);
        if (rows.length === 0) await refuseUnknownApp(sql, appId);
        const data = rows.map(row => ({
          host: row.host,
          appId: row.app_id,
          launchId: row.launch_id,
          url: hostUrl(row.host),
          claimedAt: row.claimed_at,
        }));
        return { data, meta: { nextCursor: null } };
      },
    );

    const forFronts = { config: { scope: 'public' } } as const;
    const response = { 200: oneOf(Known) };
    const Host = Type.String({ minLength: 1, maxLength: hostCharsMax });
    app.get(
      '/preview/hosts/:host/check',
      {
        ...forFronts,
        schema: {
          tags: ['launches'],
          summary: 'Whether this host name leads anywhere here: for a server in front that gets certificates',
          params: Type.Object({ host: Host }),
          response,
        },
      },
      request => check(request.params.host),
    );
    app.get(
      '/preview/hosts/check',
      {
        ...forFronts,
        schema: {
          tags: ['launches'],
          summary: 'The same, asked as Caddy asks before it gets a certificate',
          querystring: Type.Object({ domain: Host }),
          response,
        },
      },
      request => check(request.query.domain),
    );
  };
}

async function isClaimed(sql: Knex, host: string): Promise<boolean> {
  return (await sql('apps_host_names').where({ host }).first('host')) !== undefined;
}

async function isAlive(sql: Knex, launchId: string): Promise<boolean> {
  if (!uuidPattern.test(launchId)) return false;
  const over = ['stopped', 'expired', 'failed'];
  const row = await sql('apps_launches')
    .where({ launch_id: launchId })
    .whereNotIn('status', over)
    .first('status');
  return row !== undefined;
}
