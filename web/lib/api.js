/** The HTTP API: how it says no, reading what was just written, and changing things as who is signed in. */
import { hasEnded, session } from './identity.js';
import { isPast, past } from './past.js';

/** @import { Identity } from './shapes.js' */
/** @typedef {{ field: string, message: string }} FieldError */

const triesMax = 5;
const sendsMax = 5;
const retryMsMin = 300;
const askMsMax = 30_000;

/** An answer that says no (RFC 9457), or no answer at all (`offline`). */
export class Problem extends Error {
  /**
   * @param {number} status
   * @param {{ code?: string, title?: string, detail?: string, errors?: FieldError[], data?: any }} document
   */
  constructor(status, document) {
    super(document.title ?? `The server answered ${status}`);
    this.status = status;
    this.code = document.code ?? 'unknown';
    this.detail = document.detail ?? '';
    /** @type {FieldError[]} */
    this.errors = document.errors ?? [];
    /** What is there already, where that is the reason. */
    this.data = document.data;
  }
}

/** The furthest position this page has written, until a read has seen it. */
let written = 0n;

/** @param {string} left @param {string | undefined} right */
const later = (left, right) => (right === undefined || BigInt(left) > BigInt(right) ? left : right);

/** What is about the platform as it is, whichever time is looked at. @param {string} path */
const isOfNow = path => ['/auth/options', '/launches/options', '/past', '/readyz'].includes(path);

/** @param {string} title */
const readOnly = title =>
  new Problem(400, { code: 'as-of-unsupported', title, detail: 'Go back to now for that.' });

/**
 * Reads JSON. Waits until the tables hold what this page wrote, and what `after` names.
 * @param {string} path @param {{ after?: string | undefined, signal?: AbortSignal | undefined }} [options]
 * @returns {Promise<any>} @throws {Problem}
 */
export async function getJson(path, { after, signal } = {}) {
  for (let attempt = 1; ; attempt += 1) {
    const position = later(written.toString(), after);
    const url = new URL(path, location.origin);
    if (isPast() && !isOfNow(url.pathname)) url.searchParams.set('asOf', past.get().asOf);
    else if (position !== '0') url.searchParams.set('after', position);
    try {
      const answer = await ask(url.pathname + url.search, { signal: signal ?? null });
      const body = await answer.json();
      if (BigInt(position) >= written) written = 0n;
      return body;
    } catch (error) {
      // It is in the log, and some table cannot take it yet: better what is there than nothing.
      if (error instanceof Problem && error.code === 'dead-letter' && position === written.toString()) {
        written = 0n;
        continue;
      }
      const isLate = error instanceof Problem && error.code === 'behind';
      if (!isLate || attempt >= triesMax) throw error;
      await new Promise(resolve => setTimeout(resolve, retryMsMin * attempt));
    }
  }
}

/**
 * Writes; the same `key` never does it twice. Without one (null) it may be done twice; some answers cannot be given again.
 * @param {'POST' | 'PUT' | 'PATCH' | 'DELETE'} method @param {string} path @param {unknown} [body] @param {string | null} [key]
 * @returns {Promise<any>} the data of the answer: `{ id, position }`, and what the route adds @throws {Problem}
 */
export async function write(method, path, body, key = randomKey()) {
  if (isPast() && !path.startsWith('/auth/sessions')) throw readOnly('The past can only be looked at');
  /** @type {Record<string, string>} */
  const headers = key === null ? {} : { 'idempotency-key': key };
  if (body !== undefined) headers['content-type'] = 'application/json';
  const options = { method, headers, body: body === undefined ? null : JSON.stringify(body) };
  const { data } = await (await change(path, options)).json();
  if (data.position != null && BigInt(data.position) > written) written = BigInt(data.position);
  return data;
}

/** The answer's bytes as they come, for logs. @param {string} path @param {AbortSignal} signal */
export async function getStream(path, signal) {
  if (isPast()) throw readOnly('What was printed is not kept by time');
  return ask(path, { signal }, Infinity);
}

/**
 * A change names what only a page of ours can have read: the token that belongs to the cookie.
 * @param {string} path @param {RequestInit} options @returns {Promise<Response>}
 */
async function change(path, options) {
  const { who } = session.get();
  const once = (/** @type {Identity | null} */ asker) =>
    ask(path, { ...options, headers: { ...options.headers, 'x-csrf-token': asker?.csrfToken ?? '' } });
  try {
    return await once(who);
  } catch (error) {
    if (!(error instanceof Problem && error.code === 'csrf')) throw error;
    // Another tab has signed in since. Nobody changes something as somebody else than he was when he asked.
    const present = await askIdentity();
    if (present === null || (who !== null && who.subject !== present.subject)) throw error;
    return once(present);
  }
}

/** @param {string} path @param {RequestInit} options @param {number} [msMax] @returns {Promise<Response>} */
async function ask(path, options, msMax) {
  const asked = session.get().who?.credentialId;
  try {
    return await send(path, options, msMax);
  } catch (error) {
    const isMine = asked !== undefined && asked === session.get().who?.credentialId;
    // A wrong token for a new session says nothing about the present one.
    if (error instanceof Problem && error.status === 401 && isMine && path !== '/auth/sessions') hasEnded();
    throw error;
  }
}

/**
 * Asks, and throws a Problem for every answer that says no.
 * @param {string} path @param {RequestInit} [options] @param {number} [msMax] @returns {Promise<Response>}
 */
async function send(path, options = {}, msMax = askMsMax) {
  /** @type {Record<string, string>} */
  const headers = { accept: 'application/json', .../** @type {Record<string, string>} */ (options.headers) };
  const signals = [options.signal, msMax === Infinity ? null : AbortSignal.timeout(msMax)];
  const signal = AbortSignal.any(signals.filter(one => one != null));
  const answer = await fetchSurely(path, { ...options, headers, signal }).catch(error => {
    if (options.signal?.aborted === true) throw error;
    throw new Problem(0, { code: 'offline', title: 'The server cannot be reached' });
  });
  if (answer.ok) return answer;
  throw new Problem(answer.status, await answer.json().catch(() => ({})));
}

/**
 * What does no harm twice is asked again when its connection was lost: a network that changes breaks whatever is on its way.
 * @param {string} path @param {Omit<RequestInit, 'headers'> & { headers: Record<string, string> }} options
 * @returns {Promise<Response>}
 */
async function fetchSurely(path, options) {
  // A session that was opened and not heard of ends by itself.
  const isSignIn = path === '/auth/sessions';
  const isRepeatable = options.method === undefined || 'idempotency-key' in options.headers || isSignIn;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await fetch(path, options);
    } catch (error) {
      if (!isRepeatable || attempt >= sendsMax || options.signal?.aborted === true) throw error;
      await new Promise(resolve => setTimeout(resolve, retryMsMin * attempt));
    }
  }
}

/**
 * Who is signed in by the cookie of this browser, for the whole page. Answers null where that is nobody.
 * @param {'in' | 'asking'} [state] what becomes of the page where it is somebody
 * @returns {Promise<Identity | null>} @throws {Problem} where it cannot be known
 */
export async function askIdentity(state = 'in') {
  try {
    const { data } = await (await send('/auth/identity')).json();
    session.set({ state, who: data, reason: '' });
    return data;
  } catch (error) {
    if (!(error instanceof Problem) || error.status !== 401) throw error;
    hasEnded();
    return null;
  }
}

/** Random enough to be nobody else's; crypto.randomUUID is missing where the page came over plain HTTP from afar. */
export function randomKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), byte =>
    byte.toString(16).padStart(2, '0'),
  ).join('');
}

/** @param {unknown} error */
export const isAbort = error => error instanceof DOMException && error.name === 'AbortError';
