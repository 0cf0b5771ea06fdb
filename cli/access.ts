/** Puts together who may come in: tokens of the installation, keys, sessions, and the record of those who may not. */

import { openAttempts } from '../commands/access/attempt.ts';
import type { SignInDeps } from '../commands/access/sign-in.ts';
import { systemClock } from '../commands/clock.ts';
import type { EventStore } from '../eventstore/store.ts';
import type { Credentials } from '../platform/auth.ts';
import { type Config, ConfigError } from '../platform/config.ts';
import { openCredentials } from '../platform/credentials.ts';
import { openLastSeen } from '../platform/last-seen.ts';
import type { Log } from '../platform/log.ts';
import { openOidc } from '../platform/oidc.ts';
import {
  anyOf,
  knownOperators,
  type Operators,
  operatorsFile,
  parseOperators,
} from '../platform/operators.ts';
import type { openPostgres } from '../platform/postgres.ts';
import { openRateLimiter, type RateLimiter } from '../platform/rate-limit.ts';
import type { OnRefused } from '../platform/refused.ts';
import { openSeal } from '../platform/sealed.ts';
import { looksLikeApiKey } from '../platform/token-format.ts';

export type Access = {
  readonly credentials: Credentials;
  /** Whose tokens may open sessions. */
  readonly signInOperators: Operators;
  readonly tokenSignIn: boolean;
  readonly oidc: SignInDeps['oidc'];
  readonly onRefused: OnRefused;
  readonly limiter: RateLimiter;
  /** Whether this opens a door of the platform, so that no app may be shown it. */
  isPlatformToken(token: string): boolean;
  close(): Promise<void>;
};

type AccessConfig = Pick<
  Config,
  'operators' | 'operatorsPath' | 'legacyTokens' | 'oidc' | 'rateLimits' | 'redisUrl'
>;
type Parts = {
  sql: ReturnType<typeof openPostgres>;
  store: EventStore;
  log: Log;
  firstToken: string;
  sessionSecret: string;
  /** Where people reach AppHub. */
  publicUrl: string;
};

/** Throws ConfigError for a file of operators that cannot be used. */
export async function openAccess(
  config: AccessConfig,
  { sql, store, log, firstToken, sessionSecret, publicUrl }: Parts,
): Promise<Access> {
  const first = knownOperators([{ subject: 'operator', token: firstToken, scopes: ['*'] }]);
  const named = knownOperators(config.operators === undefined ? [] : parseOperators(config.operators));
  const operators = anyOf(first, named, ...fileOf(config, log));
  const nobody = knownOperators([]);
  const lastSeen = await openLastSeen(sql, systemClock, log);
  const attempts = openAttempts({ store, clock: systemClock, log });
  const limiter = openRateLimiter(config.rateLimits, { redisUrl: config.redisUrl, log });
  // Without a provider somebody has to be able to sign in, whatever is turned off.
  const tokenSignIn = config.legacyTokens || config.oidc === undefined;
  const signInOperators = config.legacyTokens ? operators : tokenSignIn ? first : nobody;
  return {
    credentials: openCredentials({
      operators: config.legacyTokens ? operators : nobody,
      subjects: operators,
      signInOperators,
      store,
      lastSeen,
      clock: systemClock,
    }),
    signInOperators,
    tokenSignIn,
    oidc: config.oidc && {
      provider: openOidc(config.oidc, { publicUrl, log }),
      policy: config.oidc.policy,
      seal: openSeal(sessionSecret, 'login'),
    },
    onRefused: attempts.note,
    limiter,
    isPlatformToken: token => looksLikeApiKey(token) || operators.identify(token) !== undefined,
    async close() {
      limiter.close();
      await attempts.close();
    },
  };
}

function fileOf({ operatorsPath: file }: AccessConfig, log: Log): readonly Operators[] {
  if (file === undefined) return [];
  try {
    return [operatorsFile(file, log)];
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new ConfigError(`APPHUB_OPERATOR_TOKENS_PATH (${file}): ${why}`);
  }
}
