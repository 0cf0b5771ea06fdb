/**
 * The way into a private launch for whoever is signed in: from the address of a launch over the platform and back, without a
 * word. It leads nowhere but to the launch.
 */
import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox';
import type { Knex } from 'knex';
import { hostCharsMax, hostPattern, previewPathPattern, urlCharsMax } from '../../domain/kernel/limits.ts';
import { allows, reaches } from '../../platform/auth.ts';
import type { Invites } from '../../platform/preview-invite.ts';

export type LaunchOpenDeps = { readonly sql: Knex; readonly invites: Invites };

type Query = { readonly to: string; readonly host?: string; readonly again?: '1' };

export function launchOpenReads({ sql, invites }: LaunchOpenDeps): FastifyPluginAsyncTypebox {
  return async app => {
    app.get(
      '/launches/:launchId/open',
      {
        config: { scope: 'public', asksWho: true },
        schema: {
          tags: ['launches'],
          summary: 'Lead a browser into a launch: at once whoever is signed in, others by way of signing in',
          params: Type.Object({ launchId: Type.String({ format: 'uuid' }) }),
          querystring: Type.Object({
            to: Type.String({
              default: '/',
              pattern: previewPathPattern,
              maxLength: urlCharsMax,
              description: 'Where in the app to: a path with its query',
            }),
            host: Type.Optional(
              Type.String({
                maxLength: hostCharsMax,
                pattern: hostPattern,
                description: 'A host name that leads to its app',
              }),
            ),
            again: Type.Optional(Type.Literal('1')),
          }),
          response: {
            200: Type.String({ description: 'A page that asks once more, now as one of the platform' }),
            303: Type.Null({ description: 'The field Location says where to go on' }),
          },
        },
      },
      async (request, reply) => {
        const { identity, params, query } = request;
        const { launchId } = params;
        reply.header('cache-control', 'no-store').header('referrer-policy', 'no-referrer');
        if (identity.kind === 'anonymous' && query.again === undefined) {
          // The cookie of whoever is signed in stays away when another site leads here. A page of our own brings it along.
          const again = `/launches/${launchId}/open?${placeOf({ ...query, again: '1' })}`;
          return reply.type('text/html; charset=utf-8').send(pageTo(again));
        }
        const row = await sql('apps_launches')
          .where({ launch_id: launchId })
          .first('app_id', 'access', 'link_epoch');
        const isLetIn = row !== undefined && allows(identity, 'apps:read') && reaches(identity, row.app_id);
        // Signing in, and why somebody may not, is what the page is for.
        if (!isLetIn) return reply.redirect(`/open/${launchId}?${placeOf(query)}`, 303);
        const launch = { launchId, access: row.access, linkEpoch: row.link_epoch };
        const host = await hostOf(sql, row.app_id, query.host);
        return reply.redirect(invites.session(launch, { path: query.to, host }).url, 303);
      },
    );
  };
}

/** The host name, where it leads to this app; else the launch's own is meant. */
async function hostOf(sql: Knex, appId: string, host: string | undefined): Promise<string | undefined> {
  if (host === undefined) return undefined;
  const row = await sql('apps_host_names').where({ host, app_id: appId }).first('host');
  return row?.host;
}

const placeOf = (query: Query): string => new URLSearchParams(Object.entries(query)).toString();

const pageTo = (address: string): string => `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Opening…</title>
<meta http-equiv="refresh" content="0; url=${address.replaceAll('&', '&amp;')}"></head>
<body><p><a href="${address.replaceAll('&', '&amp;')}">Go on</a></p></body>
</html>
`;
