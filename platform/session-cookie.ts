/**
 * The cookie of somebody who is signed in. `__Host-` binds it to this very host over HTTPS (draft-ietf-httpbis-rfc6265bis): no
 * page of another host, a preview's neither, can set or get it. A browser takes this machine's own address for as good.
 */
import type { IncomingHttpHeaders } from 'node:http';
import { parseCookie, stringifySetCookie } from 'cookie';

export const sessionCookie = '__Host-apphub-session';
const cookieCharsMax = 8_192;

/** The value of the session's cookie, where there is one. */
export function sessionCookieOf(headers: IncomingHttpHeaders): string | undefined {
  return cookieOf(headers, sessionCookie);
}

export function cookieOf(headers: IncomingHttpHeaders, name: string): string | undefined {
  const { cookie = '' } = headers;
  if (cookie.length > cookieCharsMax) return undefined;
  return parseCookie(cookie)[name] || undefined;
}

/** The field Set-Cookie; `maxAgeSeconds` 0 takes the cookie away. */
export function hostCookie(
  name: string,
  value: string,
  options: { maxAgeSeconds: number; sameSite: 'strict' | 'lax' },
): string {
  const { maxAgeSeconds: maxAge, sameSite } = options;
  return stringifySetCookie({ name, value, maxAge, sameSite, path: '/', httpOnly: true, secure: true });
}
