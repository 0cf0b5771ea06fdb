/** A real OIDC provider on this machine, with accounts that may come in and some that may not. Any password will do. */
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Provider } from 'oidc-provider';
import type { OidcConfig } from '../../platform/config.ts';
import type { Api, Body } from './api.ts';
import type { CookieJar } from './cookie-jar.ts';

const hopsMax = 20;
const clientId = 'apphub';
export const clientSecret = 'a-secret-that-only-the-two-know';

type Account = { name?: string; email?: string; email_verified?: boolean; groups?: readonly string[] };
const accounts: Readonly<Record<string, Account>> = {
  ada: { name: 'Ada Lovelace', email: 'ada@example.org', email_verified: true, groups: ['staff', 'makers'] },
  guest: { name: 'A guest', email: 'guest@example.org', email_verified: true, groups: ['guests'] },
  unverified: { email: 'new@example.org', email_verified: false, groups: ['staff'] },
  foreigner: { email: 'eve@example.com', email_verified: true, groups: ['staff'] },
  loner: { email: 'loner@example.org', email_verified: true, groups: ['others'] },
  bare: {},
};

/** The policy of the tests: what the groups of the accounts may do. */
export const policy: OidcConfig['policy'] = {
  allowedDomains: ['example.org'],
  groupScopes: { staff: ['apps:read'], makers: ['apps:write', 'keys:write'], guests: ['apps:read'] },
  groupApps: { guests: ['demo-*'] },
};

export type TestOidc = Awaited<ReturnType<typeof startOidc>>;

/** It answers nothing until it knows AppHub: `register`. `isPublic`: a client without a secret, by PKCE alone. */
export async function startOidc({ isPublic = false } = {}) {
  const nowhere: RequestListener = (_request, response) => void response.writeHead(503).end();
  let handler = nowhere;
  const server = createServer((request, response) => handler(request, response)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  let here = nowhere;
  const config: OidcConfig = {
    issuer,
    clientId,
    clientSecret: isPublic ? undefined : clientSecret,
    scopes: 'openid email profile',
    groupsClaim: 'groups',
    policy,
  };
  return {
    issuer,
    config,
    /** The same as settings of a process. */
    env: {
      APPHUB_OIDC_ISSUER: issuer,
      APPHUB_OIDC_CLIENT_ID: clientId,
      ...(isPublic ? {} : { APPHUB_OIDC_CLIENT_SECRET: clientSecret }),
      APPHUB_OIDC_ALLOWED_DOMAINS: policy.allowedDomains.join(','),
      APPHUB_OIDC_GROUP_SCOPES: JSON.stringify(policy.groupScopes),
      APPHUB_OIDC_GROUP_APPS: JSON.stringify(policy.groupApps),
    },
    /** Takes AppHub as its client. */
    register(publicUrl: string) {
      const provider = new Provider(issuer, configurationOf(publicUrl, isPublic));
      const callback = provider.callback();
      here = (request, response) => void callback(request, response);
      handler = here;
    },
    /** Answers 503 to everything until it is back. */
    leave() {
      handler = nowhere;
    },
    comeBack() {
      handler = here;
    },
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

function configurationOf(publicUrl: string, isPublic: boolean): object {
  return {
    clients: [
      {
        client_id: clientId,
        ...(isPublic ? { token_endpoint_auth_method: 'none' } : { client_secret: clientSecret }),
        redirect_uris: [`${publicUrl}/auth/callback`],
        post_logout_redirect_uris: [`${publicUrl}/`],
        backchannel_logout_uri: `${publicUrl}/auth/backchannel-logout`,
        backchannel_logout_session_required: true,
      },
    ],
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name', 'groups'] },
    cookies: { keys: ['a key of the tests'] },
    // Its own way out does not go to this machine.
    fetch: (url: string, { dispatcher: _, ...options }: RequestInit & { dispatcher?: unknown }) =>
      fetch(url, options),
    features: { backchannelLogout: { enabled: true } },
    findAccount: (_context: unknown, id: string) => {
      const account = accounts[id];
      return account && { accountId: id, claims: () => ({ sub: id, ...account }) };
    },
    ttl: {
      Session: 600,
      Grant: 600,
      Interaction: 600,
      AccessToken: 600,
      IdToken: 600,
      AuthorizationCode: 60,
    },
  };
}

/** Sends a browser off to sign in. Answers where to. */
export async function begin(api: Api, jar: CookieJar, place = '/'): Promise<string> {
  const begun = await jar.ask(`${api.url}/auth/login?redirectTo=${encodeURIComponent(place)}`);
  if (begun.status !== 303) throw new Error(`beginning to sign in: ${begun.status} ${await begun.text()}`);
  return begun.headers.get('location') ?? '';
}

/** Who the browser is to AppHub; null for nobody. */
export async function identity(api: Api, jar: CookieJar): Promise<Body> {
  const answer = await jar.ask(`${api.url}/auth/identity`);
  return answer.status === 200 ? ((await answer.json()) as Body).data : null;
}

/** Fills in the provider's forms as `login`, from where AppHub sent the browser to, until it sends it back. Answers where. */
export async function signInAt(jar: CookieJar, address: string, login: string): Promise<URL> {
  const issuer = new URL(address).origin;
  let answer = await jar.ask(address);
  for (let hop = 0; hop < hopsMax; hop += 1) {
    const location = answer.headers.get('location');
    if (location !== null) {
      const next = new URL(location, answer.url);
      if (next.origin !== issuer) return next;
      answer = await jar.ask(next.href);
      continue;
    }
    const text = await answer.text();
    const action = /<form[^>]* action="([^"]+)"/.exec(text)?.[1];
    if (action === undefined) throw new Error(`${answer.url} has no form: ${answer.status} ${text}`);
    const prompt = /name="prompt" value="(\w+)"/.exec(text)?.[1] ?? '';
    answer = await jar.ask(new URL(action, answer.url).href, { form: { prompt, login, password: 'any' } });
  }
  throw new Error(`${address} leads nowhere`);
}
