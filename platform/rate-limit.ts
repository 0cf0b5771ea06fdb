/**
 * How often somebody may ask. Who is known counts for himself, who is not by the address he comes from, and wrong credentials by
 * their address again. Counted in Redis where there is one, so that all processes count together, else in the process; while
 * Redis is away each process counts alone. Cost: one increment a request.
 */
import { isIPv6 } from 'node:net';
import { Redis } from 'ioredis';
import { RateLimiterMemory, RateLimiterRedis, RateLimiterRes } from 'rate-limiter-flexible';
import { Problem } from './problem.ts';

const windowSeconds = 60;
const networkGroups = 4;

/** Requests a minute. */
export type RateLimits = {
  readonly identified: number;
  readonly anonymous: number;
  /** Credentials that are nobody's. */
  readonly refused: number;
};

export type RateLimiter = {
  /** Rejects with 429 when it is too often; answers how many are left and when they are all there again. */
  count(
    kind: keyof RateLimits,
    key: string,
  ): Promise<{ limit: number; remaining: number; resetSeconds: number }>;
  close(): void;
};

type Log = { warn(detail: object, line: string): void };

export function openRateLimiter(
  limits: RateLimits,
  options: { redisUrl?: string | undefined; log: Log },
): RateLimiter {
  const { redisUrl, log } = options;
  const redis = redisUrl === undefined ? undefined : openRedis(redisUrl, log);
  const limiterOf = (kind: keyof RateLimits) => {
    const settings = { keyPrefix: `apphub-rate-${kind}`, points: limits[kind], duration: windowSeconds };
    const alone = new RateLimiterMemory(settings);
    if (redis === undefined) return alone;
    return new RateLimiterRedis({ ...settings, storeClient: redis, insuranceLimiter: alone });
  };
  const limiters = {
    identified: limiterOf('identified'),
    anonymous: limiterOf('anonymous'),
    refused: limiterOf('refused'),
  };
  return {
    async count(kind, key) {
      try {
        const { remainingPoints: remaining, msBeforeNext } = await limiters[kind].consume(key);
        return { limit: limits[kind], remaining, resetSeconds: Math.ceil(msBeforeNext / 1_000) };
      } catch (error) {
        if (!(error instanceof RateLimiterRes)) throw error;
        const retryAfter = Math.max(1, Math.ceil(error.msBeforeNext / 1_000));
        throw new Problem(429, 'rate-limited', 'This was asked too often', {
          detail: `${limits[kind]} times a minute are let through; in ${retryAfter} s it goes on.`,
          extra: { retryAfter },
        });
      }
    },
    close: () => redis?.disconnect(),
  };
}

function openRedis(url: string, log: Log): Redis {
  const redis = new Redis(url, { enableOfflineQueue: false, maxRetriesPerRequest: 0 });
  let isSaid = false;
  redis.on('ready', () => {
    isSaid = false;
  });
  redis.on('error', error => {
    if (!isSaid) log.warn({ err: error }, 'Redis does not answer: each process counts requests alone');
    isSaid = true;
  });
  return redis;
}

type Counted = { readonly kind: string; readonly subject: string; readonly credentialId: string | null };

/** Whom a request counts for. Of IPv6 the network of a customer (/64), as he has every address in it. */
export function countedAs(identity: Counted, ip: string): { kind: keyof RateLimits; key: string } {
  if (identity.kind === 'anonymous') return { kind: 'anonymous', key: networkOf(ip) };
  return { kind: 'identified', key: `${identity.kind} ${identity.credentialId ?? identity.subject}` };
}

export function networkOf(ip: string): string {
  if (!isIPv6(ip)) return ip;
  const [head = '', tail] = ip.toLowerCase().split('::');
  const before = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? [] : Array<string>(8 - before.length - after.length).fill('0');
  return [...before, ...zeros, ...after].slice(0, networkGroups).join(':');
}
