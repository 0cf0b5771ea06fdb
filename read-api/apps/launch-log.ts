/** What apps print: of containers that are there, straight from the engine, and of those that are gone, what was kept. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox';
import type { Knex } from 'knex';
import type { LogStore } from '../../platform/log-store.ts';
import { Problem } from '../../platform/problem.ts';
import { AfterOnly, type Freshness } from '../fresh.ts';
import { lastLines, streamed, whole } from '../log-text.ts';
import { PlainText } from '../shapes.ts';
import { LaunchParams, presentLaunch } from './launch.ts';

const config = {
  scope: 'apps:read',
  nowOnly: 'What an app prints is kept beside the log, and not by time.',
} as const;
const tags = ['launches'];
const tailMax = 10_000;
const firstLineMsMax = 500;

type Wanted = { deployment: number; tail?: number; follow?: boolean; signal?: AbortSignal };

export type LaunchLogDeps = {
  readonly sql: Knex;
  readonly fresh: Freshness;
  readonly logs: LogStore;
  /** Lines of a container that is still there, straight from the engine. */
  readonly containerLogs: (launchId: string, wanted: Wanted) => AsyncIterable<Uint8Array>;
};

/** What the app prints while its container is there, and its last lines afterwards. */
export function launchLogReads(deps: LaunchLogDeps): FastifyPluginAsyncTypebox {
  const { sql, fresh, logs, containerLogs } = deps;

  return async app => {
    app.addHook('preHandler', fresh.check);
    app.get(
      '/launches/:launchId/logs',
      {
        config,
        schema: {
          tags,
          summary: 'What the app prints; with follow it goes on until the app ends',
          params: LaunchParams,
          querystring: Type.Object({
            ...AfterOnly,
            deployment: Type.Optional(
              Type.Integer({
                minimum: 1,
                description: 'Of which container; by default of the one that serves',
              }),
            ),
            tail: Type.Optional(Type.Integer({ minimum: 0, maximum: tailMax })),
            follow: Type.Optional(Type.Boolean()),
          }),
          produces: ['text/plain'],
          response: { 200: PlainText },
        },
      },
      async (request, reply) => {
        const { launchId } = request.params;
        const { tail, follow = false } = request.query;
        const launch = await presentLaunch(sql, launchId, request.identity);
        const deployment = request.query.deployment ?? Number(launch.serving ?? launch.deployment);
        reply.type('text/plain; charset=utf-8');
        const id = await keptAs(logs, launchId, deployment);
        if (id !== undefined) {
          const kept = tail === undefined ? whole(logs, id, 0) : lastLines(logs, id, tail);
          return reply.send(streamed(reply, kept));
        }
        // There is no container yet, and nobody needs an engine to know what it has printed.
        if (launch.status === 'requested') return reply.send('');
        const gone = new AbortController();
        reply.raw.once('close', () => gone.abort());
        const wanted = { deployment, ...(tail === undefined ? {} : { tail }), follow, signal: gone.signal };
        return reply.send(streamed(reply, await begun(containerLogs(launchId, wanted))));
      },
    );
  };
}

/** Under which id the words of a deployment are kept; those of before there were deployments, under that of their launch. */
async function keptAs(logs: LogStore, launchId: string, deployment: number): Promise<string | undefined> {
  for (const id of [`${launchId}-${deployment}`, ...(deployment === 1 ? [launchId] : [])]) {
    if ((await logs.read(id, 0, 1)) !== undefined) return id;
  }
  return undefined;
}

/**
 * The same lines, once the first of them is there or is long in coming: an engine that does not answer is said
 * before the answer has begun.
 */
async function begun(lines: AsyncIterable<Uint8Array>): Promise<AsyncIterable<Uint8Array>> {
  const iterator = lines[Symbol.asyncIterator]();
  const first = iterator.next();
  // An app that says nothing is no engine that says nothing.
  const soon = sleep(firstLineMsMax, undefined, { ref: false });
  await Promise.race([first, soon]).catch(() => {
    throw new Problem(503, 'unavailable', 'The Docker engine does not answer');
  });
  first.catch(() => undefined);
  return (async function* () {
    try {
      for (let next = await first; next.done !== true; next = await iterator.next()) yield next.value;
    } finally {
      await iterator.return?.();
    }
  })();
}
