/**
 * The HTTP API as functions: answers as values, refusals as errors, waits and repeats where the API asks for
 * them.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import type { Many, Meta, Written } from './api.ts';
import { Answered, type ProblemDocument, Unreachable } from './exit.ts';
import { locate, type Place } from './locate.ts';

const requestMsMax = 30_000;
const attemptsMax = 4;
const retryWaitMs = 400;
const pageRowsMax = 100;

export type Query = Readonly<Record<string, string | number | boolean | null | undefined>>;
type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

export type Client = {
  /** Where the server is and the token to show it. */
  place(): Promise<Place>;
  /**
   * `after` in the query waits for a write to be seen; a server that is behind is asked again a few times.
   */
  get<T>(path: string, query?: Query): Promise<T>;
  /** Rows of as many pages as `limit` needs. */
  list<T>(path: string, query: Query, limit: number): Promise<Many<T>>;
  /**
   * Repeated safely under one Idempotency-Key when the connection breaks or the server is busy. With the key null it is sent
   * without one, and once.
   */
  write<T extends { data: object } = Written>(
    method: Exclude<Method, 'GET'>,
    path: string,
    body?: unknown,
    key?: string | null,
  ): Promise<T>;
  /** A text body as it comes; `idle` bodies may stay open for long. */
  text(path: string, query?: Query): Promise<Response>;
};

/** Takes the answer of each change; undefined where nobody wants what proves it. */
type Receive = ((answer: { receipt?: unknown }) => Promise<void>) | undefined | '';

export function openClient(
  env: Readonly<Record<string, string | undefined>>,
  signal: AbortSignal,
  receive?: Receive,
): Client {
  let found: Promise<Place> | undefined;
  const place = () => {
    found ??= locate(env);
    return found;
  };

  const ask = async (method: Method, path: string, query: Query, init: RequestInit): Promise<Response> => {
    const { url, token } = await place();
    const target = new URL(path.replace(/^\//, ''), url);
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined && value !== null) target.searchParams.set(name, String(value));
    }
    const headers = new Headers(init.headers);
    if (token !== undefined) headers.set('authorization', `Bearer ${token}`);
    headers.set('accept', 'application/json, application/problem+json, text/plain');
    try {
      const answer = await fetch(target, { ...init, method, headers });
      if (!answer.ok) throw new Answered(await problemIn(answer));
      return answer;
    } catch (error) {
      if (error instanceof Answered || signal.aborted) throw error;
      throw new Unreachable(`No answer from ${url.origin}: ${reasonOf(error)}`, { cause: error });
    }
  };

  const timed = () => ({ signal: AbortSignal.any([signal, AbortSignal.timeout(requestMsMax)]) });
  const get = <T>(path: string, query: Query = {}) =>
    repeated(signal, async () => jsonOf<T>(await ask('GET', path, query, timed())));

  return {
    place,
    get,
    list: async <T>(path: string, query: Query, limit: number) => {
      const data: T[] = [];
      let meta: Meta | undefined;
      let cursor: string | undefined;
      do {
        const rows = Math.min(limit - data.length, pageRowsMax);
        const page: Many<T> = await get<Many<T>>(path, { ...query, limit: rows, cursor });
        data.push(...page.data);
        meta ??= page.meta;
        cursor = page.data.length === 0 ? undefined : (page.meta?.nextCursor ?? undefined);
      } while (cursor !== undefined && data.length < limit);
      const rows = data.slice(0, limit);
      return meta === undefined
        ? { data: rows }
        : { data: rows, meta: { ...meta, nextCursor: cursor ?? null } };
    },
    write: async <T extends { data: object }>(
      method: Exclude<Method, 'GET'>,
      path: string,
      body?: unknown,
      key: string | null = randomUUID(),
    ) => {
      const sent = body === undefined ? {} : { body: JSON.stringify(body) };
      const type = body === undefined ? {} : { 'content-type': 'application/json' };
      const preferred = receive ? { prefer: 'receipt' } : {};
      const headers = { ...(key === null ? {} : { 'idempotency-key': key }), ...preferred, ...type };
      const once = async () => jsonOf<T>(await ask(method, path, {}, { ...sent, headers, ...timed() }));
      const answer = await (key === null ? once() : repeated(signal, once));
      if (receive) await receive(answer as { receipt?: unknown });
      return answer;
    },
    text: (path, query = {}) => ask('GET', path, query, { signal }),
  };
}

/**
 * Asks again what is worth asking again: a server that is behind or busy, a connection that broke on the
 * way.
 */
async function repeated<T>(signal: AbortSignal, once: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await once();
    } catch (error) {
      if (attempt >= attemptsMax || !isPassing(error) || signal.aborted) throw error;
      await pause(retryWaitMs * attempt, undefined, { signal });
    }
  }
}

function isPassing(error: unknown): boolean {
  if (error instanceof Answered) return ['behind', 'busy', 'unavailable'].includes(error.problem.code);
  return (
    error instanceof Unreachable && ['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET'].includes(codeOf(error.cause))
  );
}

function codeOf(error: unknown): string {
  const { cause, code } = (error ?? {}) as { cause?: { code?: string }; code?: string };
  return cause?.code ?? code ?? '';
}

function reasonOf(error: unknown): string {
  const known: Record<string, string> = {
    ECONNREFUSED: 'nothing listens there; is AppHub running?',
    ENOTFOUND: 'the host is not known',
    ECONNRESET: 'the connection broke',
    UND_ERR_SOCKET: 'the connection broke',
  };
  if ((error as Error).name === 'TimeoutError') return `nothing for ${requestMsMax / 1_000} s`;
  return known[codeOf(error)] ?? (error as Error).message;
}

async function jsonOf<T>(answer: Response): Promise<T> {
  const text = await answer.text();
  try {
    return JSON.parse(text) as T;
  } catch {
    throw new Error(`${new URL(answer.url).origin} does not answer as AppHub does: it sent no JSON`);
  }
}

async function problemIn(answer: Response): Promise<ProblemDocument> {
  const text = await answer.text();
  const status = answer.status;
  try {
    const document = JSON.parse(text) as Partial<ProblemDocument>;
    return {
      ...document,
      title: document.title ?? answer.statusText,
      code: document.code ?? `${status}`,
      status,
    };
  } catch {
    return { title: answer.statusText || 'The server says no', code: `http ${status}`, status };
  }
}
