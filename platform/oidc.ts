/**
 * The door to the OIDC provider that people sign in at: authorization code with PKCE, state and nonce (RFC 9700 2.1.1), `iss`
 * checked (RFC 9207), and an id_token whose signature is verified with the provider's keys, though it came by TLS. The provider
 * is asked for its endpoints when it is first needed, so that AppHub starts without it. None of its tokens is kept.
 */
import { createRemoteJWKSet, errors, type JWTPayload, jwtVerify } from 'jose';
import * as client from 'openid-client';
import type { PersonClaims } from '../domain/access/person.ts';
import { clean } from '../domain/apps/words.ts';
import { nameCharsMax } from '../domain/kernel/limits.ts';
import { checkOneLine } from '../domain/kernel/one-line.ts';
import type { OidcConfig } from './config.ts';

const callbackPath = '/auth/callback';
const requestSecondsMax = 10;
const skewSecondsMax = 60;
/** How old a token about the end of a session may be. */
const logoutSecondsMax = 300;
const groupsMax = 1_000;
const saidCharsMax = 100;
/** Of an address (RFC 5321 4.5.3.1), and of what a provider names its people and sessions by. */
const idCharsMax = 255;

/** What only the browser that began knows, and what its answer is held against. */
export type Expected = { readonly state: string; readonly nonce: string; readonly verifier: string };

export type Oidc = {
  /** What people know the provider by. */
  readonly name: string;
  readonly issuer: string;
  /** Where to send the browser. Rejects with SignInFailed, as the others do. */
  begin(): Promise<Expected & { readonly url: string }>;
  /** Whom the provider tells of, by the query (`?code=…`) that the browser came back with. */
  finish(query: string, expected: Expected): Promise<PersonClaims>;
  /** Where the provider ends its own session and sends the browser back; null where it has no such place. Never rejects. */
  endSessionUrl(providerSessionId: string | null): Promise<string | null>;
  /** What the provider calls the session (`sid`) that it says has ended, in a token of its back channel. */
  endedSession(logoutToken: string): Promise<string>;
};

export class SignInFailed extends Error {
  override readonly name = 'SignInFailed';
  readonly code: 'wrong-state' | 'provider-refused' | 'provider-away';
  constructor(code: SignInFailed['code']) {
    super(code);
    this.code = code;
  }
}

type OidcParts = {
  /** Where people reach AppHub, as an origin. */
  readonly publicUrl: string;
  readonly log: { warn(detail: object, line: string): void };
};

export function openOidc(config: OidcConfig, { publicUrl, log }: OidcParts): Oidc {
  let known: Promise<client.Configuration> | undefined;
  let keys: { readonly place: string; readonly get: RemoteKeys } | undefined;
  const provider = () => {
    known ??= discover(config);
    return known;
  };
  /** What goes wrong on the way is told in one of few words; the log has more, but nothing of what was sent. */
  const failing = (error: unknown): SignInFailed => {
    if (error instanceof SignInFailed) return error;
    const code = isAway(error) ? 'provider-away' : 'provider-refused';
    // It may have come back with other endpoints and keys.
    if (code === 'provider-away') known = undefined;
    log.warn({ issuer: config.issuer, ...reasonOf(error) }, `signing in failed: ${code}`);
    return new SignInFailed(code);
  };
  return {
    name: new URL(config.issuer).host,
    issuer: config.issuer,
    async begin() {
      try {
        return await authorization(config, await provider(), publicUrl);
      } catch (error) {
        throw failing(error);
      }
    },
    async finish(query, expected) {
      try {
        const address = new URL(`${publicUrl}${callbackPath}${query}`);
        return await claimsOf(config, await provider(), address, expected);
      } catch (error) {
        throw failing(error);
      }
    },
    async endSessionUrl(providerSessionId) {
      try {
        const configuration = await provider();
        if (configuration.serverMetadata().end_session_endpoint === undefined) return null;
        return client.buildEndSessionUrl(configuration, {
          post_logout_redirect_uri: `${publicUrl}/`,
          ...(providerSessionId === null ? {} : { logout_hint: providerSessionId }),
        }).href;
      } catch (error) {
        failing(error);
        return null;
      }
    },
    async endedSession(logoutToken) {
      try {
        const configuration = await provider();
        const { jwks_uri: place = '' } = configuration.serverMetadata();
        if (keys?.place !== place)
          keys = {
            place,
            get: createRemoteJWKSet(new URL(place), { timeoutDuration: requestSecondsMax * 1_000 }),
          };
        return await endedSessionOf(configuration, keys.get, logoutToken);
      } catch (error) {
        throw failing(error);
      }
    },
  };
}

async function discover({ issuer, clientId, clientSecret }: OidcConfig): Promise<client.Configuration> {
  const isPlain = new URL(issuer).protocol === 'http:';
  try {
    return await client.discovery(
      new URL(issuer),
      clientId,
      { [client.clockTolerance]: skewSecondsMax },
      clientSecret === undefined ? client.None() : secretAuth(clientSecret),
      {
        timeout: requestSecondsMax,
        execute: [client.enableNonRepudiationChecks, ...(isPlain ? [client.allowInsecureRequests] : [])],
      },
    );
  } catch (error) {
    throw new NotDiscovered('the provider does not tell its endpoints', { cause: error });
  }
}

class NotDiscovered extends Error {}

/**
 * By HTTP Basic, as every provider has to take it (RFC 6749 2.3.1), unless it says that it does not. Only what has to be is
 * percent-encoded: some providers forget to decode, and most secrets have a hyphen.
 */
function secretAuth(secret: string): client.ClientAuth {
  const post = client.ClientSecretPost(secret);
  return (server, metadata, body, headers) => {
    const methods = server.token_endpoint_auth_methods_supported ?? ['client_secret_basic'];
    if (!methods.includes('client_secret_basic')) return post(server, metadata, body, headers);
    const pair = [metadata.client_id, secret].map(encodeURIComponent).join(':');
    headers.set('authorization', `Basic ${Buffer.from(pair).toString('base64')}`);
  };
}

async function authorization(
  { scopes }: OidcConfig,
  configuration: client.Configuration,
  publicUrl: string,
): Promise<Expected & { url: string }> {
  const verifier = client.randomPKCECodeVerifier();
  const state = client.randomState();
  const nonce = client.randomNonce();
  const url = client.buildAuthorizationUrl(configuration, {
    redirect_uri: `${publicUrl}${callbackPath}`,
    scope: scopes,
    state,
    nonce,
    code_challenge: await client.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
  });
  return { url: url.href, state, nonce, verifier };
}

async function claimsOf(
  { groupsClaim }: OidcConfig,
  configuration: client.Configuration,
  address: URL,
  { state, nonce, verifier }: Expected,
): Promise<PersonClaims> {
  if (address.searchParams.get('state') !== state) throw new SignInFailed('wrong-state');
  const answer = await client.authorizationCodeGrant(configuration, address, {
    expectedState: state,
    expectedNonce: nonce,
    pkceCodeVerifier: verifier,
    idTokenExpected: true,
  });
  const token = answer.claims();
  if (token === undefined || !/^[\x21-\x7e]{1,255}$/.test(token.sub)) throw new BadClaims('sub');
  if (token.iat > Date.now() / 1_000 + skewSecondsMax) throw new BadClaims('iat');
  const hasAll = 'email_verified' in token && groupsClaim in token;
  const asksMore = !hasAll && configuration.serverMetadata().userinfo_endpoint !== undefined;
  const more = asksMore ? await client.fetchUserInfo(configuration, answer.access_token, token.sub) : {};
  // Whether an address is verified is only said of the address beside it.
  const { email, email_verified: verified }: Claims =
    'email_verified' in token ? token : { ...token, ...more };
  const { name, [groupsClaim]: groups }: Claims = { ...more, ...token };
  return {
    sub: token.sub,
    name: typeof name === 'string' ? lineOf(name) : null,
    email: idOf(email),
    isEmailVerified: verified === true,
    groups: groupsOf(groups),
    sid: idOf(token.sid),
  };
}

type Claims = Readonly<Record<string, unknown>>;

class BadClaims extends Error {}

type RemoteKeys = ReturnType<typeof createRemoteJWKSet>;

const logoutEvent = 'http://schemas.openid.net/event/backchannel-logout';
const signatures = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
];

/** Back-Channel Logout 1.0, 2.6. That it comes twice does no harm, so nobody remembers its `jti`. */
async function endedSessionOf(
  configuration: client.Configuration,
  keys: RemoteKeys,
  logoutToken: string,
): Promise<string> {
  const { payload } = await jwtVerify<JWTPayload & { events?: unknown }>(logoutToken, keys, {
    issuer: configuration.serverMetadata().issuer,
    audience: configuration.clientMetadata().client_id,
    algorithms: signatures,
    clockTolerance: skewSecondsMax,
    maxTokenAge: logoutSecondsMax,
    requiredClaims: ['iat', 'jti'],
  });
  const { events, nonce } = payload;
  const isLogout = typeof events === 'object' && events !== null && Object.hasOwn(events, logoutEvent);
  if (!isLogout || nonce !== undefined) throw new BadClaims('events');
  const sid = idOf(payload.sid);
  if (sid === null) throw new BadClaims('sid');
  return sid;
}

/** Somebody's words, made one line that can be shown; null where nothing is left. */
function lineOf(words: string): string | null {
  const shown = clean(words).replaceAll(/[\p{C}\p{Zl}\p{Zp}]+/gu, ' ');
  return shown.trim().slice(0, nameCharsMax).toWellFormed() || null;
}

/** What is compared is taken as it is or not at all: cut short it would be another one. */
function idOf(value: unknown): string | null {
  const isFine = typeof value === 'string' && value.length <= idCharsMax;
  return isFine && checkOneLine(value) === undefined ? value.toWellFormed() : null;
}

/** Some providers give a lone group without a list. */
function groupsOf(value: unknown): readonly string[] {
  const list = Array.isArray(value) ? value : [value];
  return list.slice(0, groupsMax).filter(one => typeof one === 'string');
}

const awayCodes = ['OAUTH_TIMEOUT', 'OAUTH_ABORT'];
const awayErrors = ['server_error', 'temporarily_unavailable'];

/** Whether the same may go well a while later. */
function isAway(error: unknown): boolean {
  if (error instanceof NotDiscovered || error instanceof errors.JWKSTimeout) return true;
  // A JOSEError of no kind of its own: the keys were not answered as they should be.
  if (error instanceof errors.JOSEError) return error.code === errors.JOSEError.code;
  if (error instanceof client.AuthorizationResponseError) return awayErrors.includes(error.error);
  if (error instanceof client.ResponseBodyError) return error.status >= 500;
  if (error instanceof client.ClientError) {
    const isBroken = error.cause instanceof Response && error.cause.status >= 500;
    return isBroken || awayCodes.includes(error.code ?? '');
  }
  // A connection that failed is a TypeError of fetch; those of the client itself have a code.
  return error instanceof TypeError && !('code' in error);
}

function reasonOf(error: unknown): { reason: string; said?: string } {
  const cause = error instanceof NotDiscovered ? error.cause : error;
  const reason = cause instanceof Error ? cause.message : 'unknown';
  const hasWord =
    cause instanceof client.AuthorizationResponseError || cause instanceof client.ResponseBodyError;
  return hasWord ? { reason, said: clean(cause.error).slice(0, saidCharsMax) } : { reason };
}
