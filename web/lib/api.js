/** The HTTP API: who asks, how it says no, and reading what was just written. */
import { signOut, token } from './session.js';

/** @typedef {{ field: string, message: string }} FieldError */

const triesMax = 5;
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

/**
 * Reads JSON. Waits until the tables hold what this page wrote, and what `after` names.
 * @param {string} path @param {{ after?: string | undefined, signal?: AbortSignal | undefined }} [options]
 * @returns {Promise<any>} @throws {Problem}
 */
export async function getJson(path, { after, signal } = {}) {
  for (let attempt = 1; ; attempt += 1) {
    const position = later(written.toString(), after);
    const url = new URL(path, location.origin);
    if (position !== '0') url.searchParams.set('after', position);
    try {
      const answer = await ask(url.pathname + url.search, { signal: signal ?? null });
      const body = await answer.json();
      if (BigInt(position) >= written) written = 0n;
      return body;
    } catch (error) {
      const isLate = error instanceof Problem && error.code === 'behind';
      if (!isLate || attempt >= triesMax) throw error;
      await new Promise(resolve => setTimeout(resolve, retryMsMin * attempt));
    }
  }
}

/**
 * Writes; the same `key` never does it twice.
 * @param {'POST' | 'PATCH' | 'DELETE'} method @param {string} path @param {unknown} [body] @param {string} [key]
 * @returns {Promise<{ id: string, position: string | null }>} @throws {Problem}
 */
export async function write(method, path, body, key = randomKey()) {
  /** @type {Record<string, string>} */
  const headers = { 'idempotency-key': key };
  if (body !== undefined) headers['content-type'] = 'application/json';
  const answer = await ask(path, { method, headers, body: body === undefined ? null : JSON.stringify(body) });
  const { data } = await answer.json();
  if (data.position !== null && BigInt(data.position) > written) written = BigInt(data.position);
  return data;
}

/** The answer's bytes as they come, for logs. @param {string} path @param {AbortSignal} signal */
export const getStream = (path, signal) => ask(path, { signal }, Infinity);

/** @param {string} path @param {RequestInit} options @param {number} [msMax] @returns {Promise<Response>} */
async function ask(path, options, msMax = askMsMax) {
  const headers = { accept: 'application/json', ...options.headers, authorization: `Bearer ${token.get()}` };
  const signals = [options.signal, msMax === Infinity ? null : AbortSignal.timeout(msMax)];
  const signal = AbortSignal.any(signals.filter(one => one != null));
  const asked = token.get();
  let answer;
  try {
    answer = await fetch(path, { ...options, headers, signal });
  } catch (error) {
    if (options.signal?.aborted === true) throw error;
    throw new Problem(0, { code: 'offline', title: 'The server cannot be reached' });
  }
  if (answer.ok) return answer;
  const document = await answer.json().catch(() => ({}));
  if (answer.status === 401 && asked === token.get() && asked !== '')
    signOut('Your token is no longer known here.');
  throw new Problem(answer.status, document);
}

/** Who a token belongs to, before it is used. Throws a Problem when it is nobody's. @param {string} value */
export async function identityOf(value) {
  const headers = { authorization: `Bearer ${value}` };
  const answer = await fetch('/auth/identity', { headers }).catch(() => {
    throw new Problem(0, { code: 'offline', title: 'The server cannot be reached' });
  });
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Problem(answer.status, body);
  return body.data;
}

/** Random enough to be nobody else's; crypto.randomUUID is missing where the page came over plain HTTP from afar. */
export function randomKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), byte =>
    byte.toString(16).padStart(2, '0'),
  ).join('');
}

/** @param {unknown} error */
export const isAbort = error => error instanceof DOMException && error.name === 'AbortError';
