/**
 * A provider that answers whatever a test wants: claims that are wrong, signatures of others, no answer at all. It lets the same
 * code in again and again, so that what is refused is refused by AppHub.
 */
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { type CryptoKey, exportJWK, exportSPKI, generateKeyPair, type JWK, SignJWT } from 'jose';
import type { OidcConfig } from '../../platform/config.ts';
import { clientSecret, policy } from './oidc.ts';

const clientId = 'apphub';
const tokenSeconds = 300;

export type Claims = Readonly<Record<string, unknown>>;
/** `own`: as it should be. */
export type Signature = 'own' | 'foreign' | 'unknown-key' | 'none' | 'hs256-secret' | 'hs256-key' | 'altered';

export type Forgery = {
  /** Of the id_token, over those that are right; undefined takes one out. */
  claims: Claims;
  signature: Signature;
  /** Of the userinfo endpoint; undefined: it answers 500. */
  userinfo: Claims | undefined;
  /** Over the token endpoint's answer; undefined takes a member out. */
  answer: Claims;
  /** Of the token endpoint; `gone` breaks the connection. */
  status: number | 'gone';
  /** Over what discovery says. */
  metadata: Claims;
};

const honest: Forgery = {
  claims: {},
  signature: 'own',
  userinfo: {},
  answer: {},
  status: 200,
  metadata: {},
};

type Keys = { own: CryptoKey; foreign: CryptoKey; jwk: JWK; pem: string };

export type Forge = Awaited<ReturnType<typeof startForge>>;

export async function startForge() {
  const own = await generateKeyPair('RS256', { extractable: true });
  const foreign = await generateKeyPair('RS256');
  const keys: Keys = {
    own: own.privateKey,
    foreign: foreign.privateKey,
    jwk: { ...(await exportJWK(own.publicKey)), kid: 'k1', alg: 'RS256', use: 'sig' },
    pem: await exportSPKI(own.publicKey),
  };
  /** What came to the token endpoint. */
  const asked: { headers: IncomingMessage['headers']; form: URLSearchParams }[] = [];
  let forgery = honest;
  let nonce = '';
  let issuer = '';
  const answers: Readonly<Record<string, (request: IncomingMessage) => Promise<object> | object>> = {
    '/.well-known/openid-configuration': () => ({
      issuer,
      authorization_endpoint: `${issuer}/authorize`,
      token_endpoint: `${issuer}/token`,
      jwks_uri: `${issuer}/jwks`,
      userinfo_endpoint: `${issuer}/userinfo`,
      response_types_supported: ['code'],
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: ['RS256'],
      authorization_response_iss_parameter_supported: true,
      ...forgery.metadata,
    }),
    '/jwks': () => ({ keys: [keys.jwk] }),
    '/userinfo': () => ({ sub: 'ada', ...forgery.userinfo }),
    '/token': async request => {
      asked.push({ headers: request.headers, form: new URLSearchParams(await text(request)) });
      const id_token = await tokenOf(forgery, keys, rightClaims(issuer, nonce));
      return { access_token: 'opaque', token_type: 'Bearer', id_token, ...forgery.answer };
    },
  };
  const server = createServer((request, response) => void answer(request, response)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url ?? '';
    if (path === '/token' && forgery.status === 'gone') return void request.socket.destroy();
    const isOut = path === '/userinfo' && forgery.userinfo === undefined;
    const status = path === '/token' && forgery.status !== 'gone' ? forgery.status : isOut ? 500 : 200;
    const body = JSON.stringify(await answers[path]?.(request));
    response.writeHead(status, { 'content-type': 'application/json' }).end(body);
  }

  const config: OidcConfig = {
    issuer,
    clientId,
    clientSecret,
    scopes: 'openid email profile',
    groupsClaim: 'groups',
    policy,
  };
  return {
    config,
    issuer,
    asked,
    /** From now on it answers like this. */
    forge(change: Partial<Forgery> = {}) {
      forgery = { ...honest, ...change };
    },
    /** Answers the query of a browser that comes back from where AppHub sent it. */
    comeBack(sentTo: string): URLSearchParams {
      const query = new URL(sentTo).searchParams;
      nonce = query.get('nonce') ?? '';
      return new URLSearchParams({ code: 'any', state: query.get('state') ?? '', iss: issuer });
    },
    /** A token about the end of a session there, signed by its own key. */
    logoutToken: (claims: Claims, signature: Signature = 'own', typ = 'logout+jwt') =>
      signed(claims, signature, keys, typ),
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

function rightClaims(iss: string, nonce: string): Claims {
  const now = nowSeconds();
  const person = { sub: 'ada', name: 'Ada', email: 'ada@example.org', email_verified: true };
  const groups = ['staff'];
  return { iss, aud: clientId, iat: now, exp: now + tokenSeconds, nonce, ...person, groups, sid: 's1' };
}

export const nowSeconds = () => Math.floor(Date.now() / 1_000);

const tokenOf = ({ claims, signature }: Forgery, keys: Keys, right: Claims) =>
  signed({ ...right, ...claims }, signature, keys, 'JWT');

async function signed(claims: Claims, signature: Signature, keys: Keys, typ: string): Promise<string> {
  const coded = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  if (signature === 'none') return `${coded({ alg: 'none' })}.${coded(claims)}.`;
  if (signature === 'hs256-secret' || signature === 'hs256-key') {
    const text = `${coded({ alg: 'HS256', kid: 'k1' })}.${coded(claims)}`;
    const key = signature === 'hs256-key' ? keys.pem : clientSecret;
    return `${text}.${createHmac('sha256', key).update(text).digest('base64url')}`;
  }
  const kid = signature === 'unknown-key' ? 'k2' : 'k1';
  const token = await new SignJWT({ ...claims })
    .setProtectedHeader({ alg: 'RS256', kid, typ })
    .sign(signature === 'foreign' ? keys.foreign : keys.own);
  if (signature !== 'altered') return token;
  const [head, , tail] = token.split('.');
  return `${head}.${coded({ ...claims, groups: ['makers'] })}.${tail}`;
}
