/** A browser that is signed in: the cookie it was given, and what a page of ours sends along with a change. */
import { sessionCookie } from '../../platform/session-cookie.ts';
import { type Answer, type Api, operatorToken } from './api.ts';

export type Browser = {
  readonly sessionId: string;
  /** The field Cookie. */
  readonly cookie: string;
  /** Of the answer that signed in. */
  readonly setCookie: string;
  readonly csrf: string;
  /** What a browser sends by itself for a page of ours, and what such a page adds to a change. */
  readonly headers: Readonly<Record<string, string>>;
  /** Without a bearer. */
  ask(method: string, place: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>;
};

/** Signs a new browser in, or one that has a cookie already. It must succeed. */
export async function signIn(
  api: Api,
  { token = operatorToken, headers = {} }: { token?: string; headers?: Record<string, string> } = {},
): Promise<Browser> {
  const signed = await api.ask('POST', '/auth/sessions', { body: { token }, token: null, headers });
  if (signed.status !== 201) throw new Error(`signing in: ${signed.status} ${signed.text}`);
  api.wrote(BigInt(signed.body.data.position));
  const setCookie = signed.headers.get('set-cookie') ?? '';
  const value = new RegExp(`${sessionCookie}=([^;]+)`).exec(setCookie)?.[1];
  const cookie = `${sessionCookie}=${value}`;
  const identity = await api.ask('GET', '/auth/identity', { token: null, headers: { cookie } });
  const csrf = String(identity.body.data?.csrfToken);
  const own = { cookie, origin: api.url, 'x-csrf-token': csrf };
  return {
    sessionId: signed.body.data.id,
    cookie,
    setCookie,
    csrf,
    headers: own,
    ask: (method, place, body, more = {}) =>
      api.ask(method, place, { token: null, headers: { ...own, ...more }, body }),
  };
}

/** A clock that stands still until it is told to go on. */
export function stillClock(start = '2026-01-02T03:04:05.000Z') {
  let now = Date.parse(start);
  return {
    now: () => new Date(now).toISOString(),
    pass: (seconds: number) => {
      now += seconds * 1_000;
    },
  };
}
