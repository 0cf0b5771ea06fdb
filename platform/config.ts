/** Every setting of the platform, read once from the environment and checked; what is not set has a default that works. */
import { isIP } from 'node:net';
import path from 'node:path';
import type { PersonPolicy } from '../domain/access/person.ts';
import { isGrant } from '../domain/access/scope.ts';
import { appPattern } from '../domain/kernel/limits.ts';
import { type AuditConfig, readAudit } from './audit-config.ts';
import { type BuildConfig, readBuilds } from './build-config.ts';
import { type EnginesConfig, readEngines } from './engines-config.ts';
import { parseOperators } from './operators.ts';
import { readSandbox, type SandboxConfig } from './sandbox-config.ts';
import { readStorage, type StorageConfig } from './storage-config.ts';
import { readUsage, type UsageConfig } from './usage-config.ts';
import { readWorkspaces, type WorkspaceConfig } from './workspace-config.ts';

export const rooms = ['commands', 'read-api', 'projections', 'workers', 'web'] as const;
export type Room = (typeof rooms)[number];

export type Config = {
  /** The one port people know: page, API, stream and previews. */
  readonly port: number;
  readonly host: string;
  /** Everything that is kept on this machine. Absolute. */
  readonly dataDir: string;
  /** Each is undefined where the embedded one is to be used. */
  readonly databaseUrl: string | undefined;
  readonly redisUrl: string | undefined;
  readonly eventstoreUrl: string | undefined;
  /** What builds and runs. */
  readonly engines: EnginesConfig;
  /** A launch is reached at `<launch>.<previewDomain>`, by the scheme of the public address. */
  readonly previewDomain: string;
  /** Where previews are seen from outside when a proxy stands in front; undefined: this machine's own port. */
  readonly previewPort: number;
  readonly previews: PreviewConfig;
  readonly allowLocalRepositories: boolean;
  /** Without Redis the jobs run in the process. False refuses to start instead. */
  readonly allowInlineMode: boolean;
  /** `always`, `none`, or milliseconds between syncs of the embedded log. */
  readonly logDurability: 'always' | 'none' | { readonly intervalMs: number };
  readonly operatorToken: string | undefined;
  /** Further tokens: JSON of a list, or the file that holds it. */
  readonly operators: string | undefined;
  readonly operatorsPath: string | undefined;
  /** Whether tokens of the installation are good for programs; without them only API keys and sessions are. */
  readonly legacyTokens: boolean;
  readonly sessionTimes: { readonly idleSeconds: number; readonly absoluteSeconds: number };
  /** Where people reach AppHub, as an origin; undefined: at this machine's own port. */
  readonly publicUrl: string | undefined;
  /** The provider that people sign in at; undefined: there is none. */
  readonly oidc: OidcConfig | undefined;
  /** Requests a minute: of somebody who is known, of an address that is not, and with credentials that are nobody's. */
  readonly rateLimits: { readonly identified: number; readonly anonymous: number; readonly refused: number };
  readonly corsOrigins: readonly string[];
  /** Addresses or networks of proxies whose word on where a request came from is taken. */
  readonly trustedProxies: readonly string[];
  readonly webhookSecret: string | undefined;
  /** Seals build secrets in the database; for installations whose rooms do not share a data directory. */
  readonly buildSecretKey: string | undefined;
  readonly syncSeconds: number;
  readonly ingestionsAtOnce: number;
  readonly buildsAtOnce: number;
  readonly builds: BuildConfig;
  readonly launches: LaunchConfig;
  readonly sandbox: SandboxConfig;
  readonly audit: AuditConfig;
  readonly timeTravel: boolean;
  readonly storage: StorageConfig;
  readonly workspaces: WorkspaceConfig;
  readonly usage: UsageConfig;
  readonly s3: S3Config | undefined;
  readonly logLevel: string;
};

/** What launches may be and do all together. A number of launches counts those that have a container. */
type LaunchConfig = {
  /** A launch sleeps after so long without a visit unless it says otherwise; null: never. */
  readonly idleSeconds: number | null;
  /** How long a container that was replaced still answers what it was asked before. */
  readonly drainSeconds: number;
  readonly max: number;
  readonly perAppMax: number;
  readonly perOwnerMax: number;
  /** So many of the most visited do not sleep. */
  readonly keptAwake: number;
};

type PreviewConfig = {
  /** Signs what lets visitors in. By default one is made on the first start. */
  readonly secret: string | undefined;
  readonly bodyBytesMax: number;
  /** Requests and WebSockets under way at once: of a launch, and of a visitor's address. */
  readonly perLaunchMax: number;
  readonly perVisitorMax: number;
};

export type OidcConfig = {
  readonly issuer: string;
  readonly clientId: string;
  /** Undefined for a public client, which shows by PKCE alone that it is the one who asked. */
  readonly clientSecret: string | undefined;
  /** What is asked of the provider, parted by spaces. */
  readonly scopes: string;
  readonly groupsClaim: string;
  readonly policy: PersonPolicy;
};

type S3Config = {
  readonly endpoint: string | undefined;
  readonly region: string;
  readonly bucket: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
};

/** A setting that cannot be used, with what would be right. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

type Env = Readonly<Record<string, string | undefined>>;

export function readConfig(env: Env): Config {
  const port = integer(env, 'PORT', 4_000, 0, 65_535);
  const publicUrl = origin(env, 'APPHUB_PUBLIC_URL');
  return {
    port,
    host: text(env, 'HOST') ?? '127.0.0.1',
    dataDir: path.resolve(text(env, 'APPHUB_DATA_DIR') ?? 'data'),
    databaseUrl: url(env, 'DATABASE_URL', ['postgres:', 'postgresql:']),
    redisUrl: url(env, 'REDIS_URL', ['redis:', 'rediss:', 'unix:']),
    eventstoreUrl: url(env, 'EVENTSTORE_URL', [
      'esdb:',
      'esdb+discover:',
      'kurrentdb:',
      'kurrentdb+discover:',
    ]),
    engines: parsed(() => readEngines(env)),
    previewDomain: domain(env, 'APPHUB_PREVIEW_DOMAIN') ?? 'localhost',
    previewPort: integer(env, 'APPHUB_PREVIEW_PORT', portOf(publicUrl) ?? port, 0, 65_535),
    previews: {
      secret: secret(env, 'APPHUB_PREVIEW_SECRET'),
      bodyBytesMax: integer(env, 'APPHUB_PREVIEW_BODY_BYTES_MAX', 100 * 1024 * 1024, 1_024, 2 ** 40),
      perLaunchMax: integer(env, 'APPHUB_PREVIEW_REQUESTS_PER_LAUNCH_MAX', 2_000, 1, 100_000),
      perVisitorMax: integer(env, 'APPHUB_PREVIEW_REQUESTS_PER_VISITOR_MAX', 256, 1, 100_000),
    },
    allowLocalRepositories: flag(env, 'APPHUB_ALLOW_LOCAL_REPOSITORIES', false),
    allowInlineMode: flag(env, 'APPHUB_ALLOW_INLINE_MODE', true),
    logDurability: durability(env),
    operatorToken: token(env, 'APPHUB_OPERATOR_TOKEN'),
    operators: operators(env),
    operatorsPath: text(env, 'APPHUB_OPERATOR_TOKENS_PATH'),
    legacyTokens: flag(env, 'APPHUB_LEGACY_TOKENS', true),
    sessionTimes: {
      idleSeconds: integer(env, 'APPHUB_SESSION_IDLE_SECONDS', 8 * 3_600, 300, 30 * 86_400),
      absoluteSeconds: integer(env, 'APPHUB_SESSION_SECONDS', 7 * 86_400, 60, 90 * 86_400),
    },
    publicUrl,
    oidc: oidc(env),
    rateLimits: {
      identified: integer(env, 'APPHUB_REQUESTS_PER_MINUTE', 12_000, 1, 10_000_000),
      anonymous: integer(env, 'APPHUB_ANONYMOUS_REQUESTS_PER_MINUTE', 3_000, 1, 10_000_000),
      refused: integer(env, 'APPHUB_REFUSALS_PER_MINUTE', 60, 1, 10_000_000),
    },
    corsOrigins: origins(env, 'APPHUB_CORS_ORIGINS'),
    trustedProxies: networks(env, 'APPHUB_TRUSTED_PROXIES'),
    webhookSecret: secret(env, 'APPHUB_WEBHOOK_SECRET'),
    buildSecretKey: secret(env, 'APPHUB_BUILD_SECRET_KEY'),
    syncSeconds: integer(env, 'APPHUB_SYNC_SECONDS', 300, 1, 86_400),
    ingestionsAtOnce: integer(env, 'APPHUB_INGESTIONS_AT_ONCE', 2, 1, 64),
    buildsAtOnce: integer(env, 'APPHUB_BUILDS_AT_ONCE', 1, 1, 64),
    builds: parsed(() => readBuilds(env)),
    launches: {
      idleSeconds: integer(env, 'APPHUB_LAUNCH_IDLE_SECONDS', 1_800, 0, 7 * 86_400) || null,
      drainSeconds: integer(env, 'APPHUB_LAUNCH_DRAIN_SECONDS', 10, 0, 3_600),
      max: integer(env, 'APPHUB_LAUNCHES_MAX', 50, 1, 10_000),
      perAppMax: integer(env, 'APPHUB_LAUNCHES_PER_APP_MAX', 10, 1, 10_000),
      perOwnerMax: integer(env, 'APPHUB_LAUNCHES_PER_OWNER_MAX', 25, 1, 10_000),
      keptAwake: integer(env, 'APPHUB_LAUNCHES_KEPT_AWAKE', 0, 0, 1_000),
    },
    sandbox: parsed(() => readSandbox(env)),
    audit: parsed(() => readAudit(env)),
    timeTravel: flag(env, 'APPHUB_TIME_TRAVEL', true),
    storage: parsed(() => readStorage(env)),
    workspaces: parsed(() => readWorkspaces(env)),
    usage: parsed(() => readUsage(env)),
    s3: s3(env),
    logLevel: level(env),
  };
}

const secretCharsMin = 16;
const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'];

const text = (env: Env, name: string): string | undefined => env[name]?.trim() || undefined;

function integer(env: Env, name: string, byDefault: number, min: number, max: number): number {
  const given = text(env, name);
  if (given === undefined) return byDefault;
  const value = Number(given);
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  throw new ConfigError(`${name} is "${given}"; it must be a whole number from ${min} to ${max}`);
}

function flag(env: Env, name: string, byDefault: boolean): boolean {
  const given = text(env, name)?.toLowerCase();
  if (given === undefined) return byDefault;
  if (['1', 'true', 'yes', 'on'].includes(given)) return true;
  if (['0', 'false', 'no', 'off'].includes(given)) return false;
  throw new ConfigError(`${name} is "${given}"; it must be true or false`);
}

function url(env: Env, name: string, protocols: readonly string[]): string | undefined {
  const given = text(env, name);
  if (given === undefined) return undefined;
  if (protocols.some(protocol => given.startsWith(protocol))) return given;
  throw new ConfigError(`${name} must begin with one of ${protocols.map(one => `${one}//`).join(', ')}`);
}

function secret(env: Env, name: string): string | undefined {
  const given = text(env, name);
  if (given === undefined || given.length >= secretCharsMin) return given;
  throw new ConfigError(`${name} is too short; it needs at least ${secretCharsMin} characters`);
}

/** It travels in a header field and as the name of a WebSocket's subprotocol (RFC 6455 4.1), so few characters can be in it. */
function token(env: Env, name: string): string | undefined {
  const given = secret(env, name);
  if (given === undefined || /^[A-Za-z0-9._~+-]+$/.test(given)) return given;
  throw new ConfigError(`${name} may hold letters, digits and . _ ~ + - only`);
}

function operators(env: Env): string | undefined {
  const given = text(env, 'APPHUB_OPERATOR_TOKENS');
  try {
    if (given !== undefined) parseOperators(given);
  } catch (error) {
    throw new ConfigError(
      `APPHUB_OPERATOR_TOKENS: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
  return given;
}

/** Of settings that have a reader of their own. */
function parsed<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new ConfigError(error instanceof Error ? error.message : String(error));
  }
}

/** Scheme, name and port: there is no path, because the page and its cookies are at the root. */
function origin(env: Env, name: string): string | undefined {
  const given = text(env, name);
  if (given === undefined) return undefined;
  const parsed = URL.parse(given);
  const isOrigin = parsed !== null && parsed.href === `${parsed.origin}/`;
  if (isOrigin && ['http:', 'https:'].includes(parsed.protocol)) return parsed.origin;
  throw new ConfigError(`${name} must be an address without a path, such as https://apphub.example.org`);
}

/** Of an address that people use; undefined where there is none. */
function portOf(url: string | undefined): number | undefined {
  if (url === undefined) return undefined;
  const { port, protocol } = new URL(url);
  return port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port);
}

/** A name in the DNS, in the letters that a Host field has it in. */
function domain(env: Env, name: string): string | undefined {
  const given = text(env, name)?.toLowerCase().replace(/\.$/, '');
  if (given === undefined) return undefined;
  const isName = /^[a-z0-9-]+(\.[a-z0-9-]+)*$/.test(given) && isIP(given) === 0;
  if (isName) return given;
  throw new ConfigError(`${name} is "${given}"; it must be a domain such as preview.example.net`);
}

/** Sign-in at a provider, where an issuer is named. */
function oidc(env: Env): OidcConfig | undefined {
  const issuer = text(env, 'APPHUB_OIDC_ISSUER');
  if (issuer === undefined) return undefined;
  const clientId = text(env, 'APPHUB_OIDC_CLIENT_ID');
  const groupScopes = lists(env, 'APPHUB_OIDC_GROUP_SCOPES', isGrant);
  if (clientId === undefined || groupScopes === undefined) {
    throw new ConfigError('APPHUB_OIDC_ISSUER also needs APPHUB_OIDC_CLIENT_ID and APPHUB_OIDC_GROUP_SCOPES');
  }
  const scopes = text(env, 'APPHUB_OIDC_SCOPES') ?? 'openid email profile';
  if (!scopes.split(/\s+/).includes('openid')) {
    throw new ConfigError(`APPHUB_OIDC_SCOPES is "${scopes}"; it must hold openid`);
  }
  const isApp = (pattern: string) => new RegExp(appPattern).test(pattern);
  return {
    issuer: issuerOf(issuer),
    clientId,
    clientSecret: text(env, 'APPHUB_OIDC_CLIENT_SECRET'),
    scopes,
    groupsClaim: text(env, 'APPHUB_OIDC_GROUPS_CLAIM') ?? 'groups',
    policy: {
      allowedDomains: domains(env, 'APPHUB_OIDC_ALLOWED_DOMAINS'),
      groupScopes,
      groupApps: lists(env, 'APPHUB_OIDC_GROUP_APPS', isApp) ?? {},
    },
  };
}

/** Without TLS nobody knows whose keys they are that vouch for people, except on this very machine. */
function issuerOf(given: string): string {
  const parsed = URL.parse(given);
  const isHere = parsed?.protocol === 'http:' && /^(localhost|127(\.\d+){3}|\[::1\])$/.test(parsed.hostname);
  if (parsed?.protocol === 'https:' || isHere) return given;
  throw new ConfigError('APPHUB_OIDC_ISSUER must be an https:// address; http:// is for this machine only');
}

function domains(env: Env, name: string): readonly string[] {
  const list = (text(env, name) ?? '').toLowerCase().split(',');
  const given = list.map(part => part.trim()).filter(part => part !== '');
  const wrong = given.find(part => !/^[\p{L}\p{N}-]+(\.[\p{L}\p{N}-]+)+$/u.test(part));
  if (wrong === undefined) return given;
  throw new ConfigError(`${name}: "${wrong}" is no domain such as example.org`);
}

/** A JSON object of lists of text, each of which has to be fine. */
function lists(
  env: Env,
  name: string,
  isFine: (one: string) => boolean,
): Readonly<Record<string, readonly string[]>> | undefined {
  const given = text(env, name);
  if (given === undefined) return undefined;
  let parsed: unknown;
  try {
    parsed = JSON.parse(given);
  } catch {
    parsed = undefined;
  }
  const isObject = typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed);
  if (!isObject) throw new ConfigError(`${name} must be JSON such as {"group": ["apps:read"]}`);
  for (const [group, list] of Object.entries(parsed as object)) {
    if (!Array.isArray(list)) throw new ConfigError(`${name}: "${group}" must have a list`);
    const wrong = list.find(one => typeof one !== 'string' || !isFine(one));
    if (wrong !== undefined)
      throw new ConfigError(`${name}: "${group}" has ${JSON.stringify(wrong)}, which is none`);
  }
  return parsed as Readonly<Record<string, readonly string[]>>;
}

function origins(env: Env, name: string): readonly string[] {
  const list = (text(env, name) ?? '').split(',').map(part => part.trim());
  const given = list.filter(part => part !== '');
  const wrong = given.find(part => !/^https?:\/\//.test(part) || URL.parse(part)?.origin !== part);
  if (wrong === undefined) return given;
  throw new ConfigError(`${name}: "${wrong}" is no origin such as https://board.example`);
}

function networks(env: Env, name: string): readonly string[] {
  const list = (text(env, name) ?? '').split(',').map(part => part.trim());
  const given = list.filter(part => part !== '');
  const wrong = given.find(part => {
    const [address = '', bits, ...rest] = part.split('/');
    const most = isIP(address) === 6 ? 128 : 32;
    return (
      isIP(address) === 0 || rest.length > 0 || (bits !== undefined && !(/^\d+$/.test(bits) && +bits <= most))
    );
  });
  if (wrong === undefined) return given;
  throw new ConfigError(`${name}: "${wrong}" is no address and no network such as 10.0.0.0/8`);
}

function level(env: Env): string {
  const given = text(env, 'LOG_LEVEL')?.toLowerCase() ?? 'info';
  if (logLevels.includes(given)) return given;
  throw new ConfigError(`LOG_LEVEL is "${given}"; it must be one of ${logLevels.join(', ')}`);
}

function durability(env: Env): Config['logDurability'] {
  const given = text(env, 'APPHUB_LOG_DURABILITY') ?? 'always';
  if (given === 'always' || given === 'none') return given;
  const intervalMs = Number(/^interval:(\d{1,6})$/.exec(given)?.[1]);
  if (intervalMs > 0) return { intervalMs };
  throw new ConfigError(
    `APPHUB_LOG_DURABILITY is "${given}"; it must be always, none or interval:<milliseconds>`,
  );
}

/** The object store is S3 where a bucket is named, else a folder of the data directory. */
function s3(env: Env): S3Config | undefined {
  const bucket = text(env, 'APPHUB_S3_BUCKET');
  if (bucket === undefined) return undefined;
  const accessKeyId = text(env, 'APPHUB_S3_ACCESS_KEY_ID');
  const secretAccessKey = text(env, 'APPHUB_S3_SECRET_ACCESS_KEY');
  if (accessKeyId === undefined || secretAccessKey === undefined) {
    throw new ConfigError(
      'APPHUB_S3_BUCKET also needs APPHUB_S3_ACCESS_KEY_ID and APPHUB_S3_SECRET_ACCESS_KEY',
    );
  }
  const region = text(env, 'APPHUB_S3_REGION') ?? 'us-east-1';
  return { endpoint: text(env, 'APPHUB_S3_ENDPOINT'), region, bucket, accessKeyId, secretAccessKey };
}
