/** The servers everything leans on: each is the one that was named, or one that is brought along. */
import path from 'node:path';
import { openSegmentStorage } from '../eventstore/embedded/segment-storage.ts';
import { startLogServer } from '../eventstore/embedded/server.ts';
import type { Config } from '../platform/config.ts';
import { startEmbeddedPostgres } from '../platform/embedded-postgres.ts';
import { startEmbeddedRedis } from '../platform/embedded-redis.ts';
import type { Log } from '../platform/log.ts';

export type Parts = {
  /** With every address filled in. Redis stays undefined where there is none: jobs then run in the process. */
  readonly config: Config & { readonly databaseUrl: string; readonly eventstoreUrl: string };
  close(): Promise<void>;
};

type Closing = () => Promise<unknown>;

export async function openParts(config: Config, log: Log): Promise<Parts> {
  const closings: Closing[] = [];
  const close = async () => {
    for (const closing of closings.reverse()) {
      await closing().catch(error => log.error({ err: error }, 'a part did not close'));
    }
  };
  try {
    const [eventstoreUrl, databaseUrl, redisUrl] = await all([
      () => config.eventstoreUrl ?? embeddedLog(config, log, closings),
      () => config.databaseUrl ?? embeddedPostgres(config, closings),
      () => config.redisUrl ?? embeddedRedis(config, closings),
    ]);
    if (redisUrl === undefined && !config.allowInlineMode) {
      throw new Error(
        'There is no Redis, and APPHUB_ALLOW_INLINE_MODE is off. Set REDIS_URL or install redis-server.',
      );
    }
    if (redisUrl === undefined)
      log.warn({}, 'no redis-server on PATH and no REDIS_URL: jobs run in the process');
    return { config: { ...config, eventstoreUrl, databaseUrl, redisUrl }, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Side by side; when one fails, the others are still waited for, so that what they opened can be closed. */
async function all<A, B, C>(
  opening: [() => A | Promise<A>, () => B | Promise<B>, () => C | Promise<C>],
): Promise<[A, B, C]> {
  const settled = await Promise.allSettled(opening.map(async open => open()));
  const failed = settled.find(one => one.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
  return settled.map(one => (one as PromiseFulfilledResult<unknown>).value) as [A, B, C];
}

async function embeddedLog(config: Config, log: Log, closings: Closing[]): Promise<string> {
  const directory = path.join(config.dataDir, 'log');
  const storage = await openSegmentStorage({ directory, durability: config.logDurability, log });
  closings.push(() => storage.close());
  const server = await startLogServer({ storage, port: 0, log });
  closings.push(() => server.close());
  return `esdb://127.0.0.1:${server.port}?tls=false`;
}

async function embeddedPostgres(config: Config, closings: Closing[]): Promise<string> {
  const server = await startEmbeddedPostgres(path.join(config.dataDir, 'postgres'));
  closings.push(() => server.stop());
  return server.url;
}

async function embeddedRedis(config: Config, closings: Closing[]): Promise<string | undefined> {
  const server = await startEmbeddedRedis(path.join(config.dataDir, 'redis'));
  if (server !== undefined) closings.push(() => server.stop());
  return server?.url;
}
