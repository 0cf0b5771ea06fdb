/** A browser as far as redirects and cookies go: it keeps what is set and sends it back, and follows nothing by itself. */
import { parseSetCookie } from 'cookie';

export type CookieJar = {
  readonly cookies: Map<string, string>;
  ask(
    url: string,
    asked?: { form?: Record<string, string>; headers?: Record<string, string> },
  ): Promise<Response>;
};

export function openCookieJar(): CookieJar {
  const cookies = new Map<string, string>();
  return {
    cookies,
    async ask(url, { form, headers = {} } = {}) {
      const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
      const answer = await fetch(url, {
        redirect: 'manual',
        headers: { ...(cookie === '' ? {} : { cookie }), ...headers },
        ...(form === undefined ? {} : { method: 'POST', body: new URLSearchParams(form) }),
      });
      for (const line of answer.headers.getSetCookie()) {
        const { name, value, maxAge, expires } = parseSetCookie(line);
        const isOver = maxAge === 0 || (expires !== undefined && expires.getTime() < Date.now());
        if (isOver) cookies.delete(name);
        else cookies.set(name, value ?? '');
      }
      return answer;
    },
  };
}
