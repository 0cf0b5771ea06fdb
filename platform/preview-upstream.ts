/** Connections to apps that are kept for the next request. What can be sent once only does not go over one of them. */
import { Pool } from 'undici';
import type { Place } from './preview-target.ts';

export const connectMsMax = 2_000;
export const answerHeadBytesMax = 64 * 1_024;
/** An app may close a connection that was idle for longer, just as the next request is on its way. */
const idleMsMax = 4_000;
const connectionsMax = 4_096;
const unusedMsMax = 60_000;

export type Upstreams = {
  poolOf(place: Place): Pool;
  close(): Promise<void>;
};

type Known = { readonly pool: Pool; usedMs: number };

/** `bodyIdleMsMax`: how long an app may pause within an answer. */
export function openUpstreams(options: { readonly bodyIdleMsMax: number }): Upstreams {
  const known = new Map<string, Known>();
  const open = (origin: string) =>
    new Pool(origin, {
      connectTimeout: connectMsMax,
      connections: connectionsMax,
      pipelining: 1,
      // The time until an answer begins is for those to watch who know when the request was sent.
      headersTimeout: 0,
      bodyTimeout: options.bodyIdleMsMax,
      keepAliveTimeout: idleMsMax,
      keepAliveMaxTimeout: idleMsMax,
      maxHeaderSize: answerHeadBytesMax,
      autoSelectFamily: false,
      allowH2: false,
    });
  const forget = setInterval(() => {
    for (const [origin, { pool, usedMs }] of known) {
      const { running, pending, queued } = pool.stats;
      if (running + pending + queued > 0 || performance.now() - usedMs < unusedMsMax) continue;
      known.delete(origin);
      void pool.destroy();
    }
  }, unusedMsMax).unref();
  return {
    poolOf({ host, port }) {
      const origin = `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
      const found = known.get(origin) ?? { pool: open(origin), usedMs: 0 };
      known.set(origin, found);
      found.usedMs = performance.now();
      return found.pool;
    },
    async close() {
      clearInterval(forget);
      await Promise.all([...known.values()].map(({ pool }) => pool.destroy()));
    },
  };
}
