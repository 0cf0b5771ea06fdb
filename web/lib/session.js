/**
 * Signing in and out. The session is a cookie that no script can read, so neither a link nor a fault of the page can carry it
 * away. Of it this browser keeps only that there is one, and which: so tabs hear of each other, and nobody asks in vain.
 */
import { toast } from './announce.js';
import { askIdentity, getJson, Problem, write } from './api.js';
import { hasEnded, isIn, isOut, session } from './identity.js';

const key = 'apphub.session';
/** The longest time a browser's timer can wait. */
const timerMsMax = 2 ** 31 - 1;
const lookAgainMs = 30_000;

/** @typedef {{ oidc: { name: string } | null, token: boolean }} Options how one can sign in here */

/** @returns {string | null} what was kept; '' where it cannot be known, so that it has to be asked for */
function kept() {
  try {
    return localStorage.getItem(key);
  } catch {
    return '';
  }
}

/** @param {string | null} credentialId */
function keep(credentialId) {
  try {
    if (credentialId === null) localStorage.removeItem(key);
    else localStorage.setItem(key, credentialId);
  } catch {
    // Without storage the other tabs find out by themselves.
  }
}

/** @returns {Promise<Options>} */
export async function signInOptions() {
  try {
    return (await getJson('/auth/options')).data;
  } catch (error) {
    // A server that knows of no provider has nothing to say about it.
    if (error instanceof Problem && error.status === 404) return { oidc: null, token: true };
    throw error;
  }
}

/** Opens a session in this browser with a token, which is then no longer needed. @param {string} token @throws {Problem} */
export async function signIn(token) {
  // What was sent twice would be two sessions, of which the second ends the first.
  await write('POST', '/auth/sessions', { token }, null);
  const who = await askIdentity();
  if (who === null)
    throw new Error('The session was opened, but this browser did not keep its cookie. Are cookies allowed?');
  keep(who.credentialId);
}

/** Goes to the provider, which leads back to this place. */
export function signInAtProvider() {
  // Who comes back is asked for his name.
  keep('');
  location.assign(`/auth/login?redirectTo=${encodeURIComponent(location.pathname + location.search)}`);
}

/** Ends the session, in every tab of this browser. */
export async function signOut() {
  try {
    const { redirect } = await write('POST', '/auth/logout');
    leave();
    // The provider has a session of its own.
    if (redirect !== null) location.assign(redirect);
  } catch (error) {
    if (error instanceof Problem && error.status === 401) leave();
    else toast(`You are still signed in. ${error instanceof Error ? error.message : ''}`, 'bad');
  }
}

/** @param {string} [reason] */
function leave(reason) {
  keep(null);
  isOut(reason);
}

/** Finds out who is signed in, by the address or by the cookie, and stays true to it. */
export async function startSession() {
  addEventListener('storage', event => {
    if (event.key === key) void heardOf(event.newValue);
  });
  document.addEventListener('visibilitychange', () => !document.hidden && void lookAgain());
  // Whoever follows such a link from the page itself loads nothing anew.
  addEventListener('hashchange', () => void enter());
  session.watch(waitForEnd);
  await enter();
}

/** Comes in by the token in the address, else by the cookie. Nobody is thrown out by an address that somebody made up. */
async function enter() {
  const reason = refusalFromAddress();
  const token = tokenFromAddress();
  const { state: before } = session.get();
  if (before !== 'asking' && token === '') return;
  try {
    // Who is about to become somebody else has no page yet, whose reads would be refused meanwhile.
    if (before === 'asking' && (await mayBeIn())) await askIdentity(token === '' ? 'in' : 'asking');
    if (token !== '') await signIn(token);
  } catch (error) {
    const { who } = session.get();
    const said = error instanceof Problem ? `${error.message}. ${error.detail}` : String(error);
    if (who === null) return isOut(said.trim());
    isIn(who);
  }
  const { state, who } = session.get();
  if (state === 'in') keep(who?.credentialId ?? '');
  else leave(reason);
}

/** Asking in vain would be a refused attempt in the record. With a provider one may come in by a link to it. */
async function mayBeIn() {
  return kept() !== null || (await signInOptions()).oidc !== null;
}

/** What another tab did. @param {string | null} credentialId */
async function heardOf(credentialId) {
  const { state, who } = session.get();
  if (credentialId === null) {
    if (state === 'in' || state === 'ended') isOut('You have signed out in another tab.');
  } else if (credentialId !== '' && (state !== 'in' || credentialId !== who?.credentialId)) {
    await askIdentity().catch(() => undefined);
  }
}

let lookedAt = 0;

/** Who comes back to a tab after a while sees at once whether he is still signed in. */
async function lookAgain() {
  if (session.get().state !== 'in' || performance.now() - lookedAt < lookAgainMs) return;
  lookedAt = performance.now();
  await askIdentity().catch(() => undefined);
}

/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;

/** A session that ends at a time known beforehand ends here, too. @param {import('./identity.js').Session} present */
function waitForEnd({ state, who }) {
  clearTimeout(timer);
  if (state !== 'in' || who?.expires == null) return;
  const ms = Date.parse(who.expires) - Date.now();
  if (ms < timerMsMax) timer = setTimeout(hasEnded, Math.max(0, ms));
}

/** Takes the token out of `#token=…`, and the fragment out of the address bar and the history. */
function tokenFromAddress() {
  const found = /^#token=([\w.~+/-]+)$/.exec(location.hash)?.[1] ?? '';
  if (found !== '') history.replaceState(history.state, '', location.pathname + location.search);
  return found;
}

/** @type {Readonly<Record<string, string>>} */
const refusals = {
  'missing-login': 'Signing in took too long, or was begun in another browser. Try again.',
  'wrong-state': 'This answer belongs to another attempt to sign in. Try again.',
  'provider-refused': 'The provider did not let you in.',
  'unverified-email': 'The provider has not verified your mail address yet. Verify it there, then try again.',
  'foreign-domain': 'Your mail address is of a domain that is not let in here.',
  'no-groups': 'You are in none of the groups that are let in here. Ask whoever runs AppHub to add you.',
  'not-protected': 'Signing in needs HTTPS, or the page of the very machine AppHub runs on.',
  'provider-away': 'The provider does not answer. Try again in a moment.',
};

/** Why the provider's way led back to the door, out of `?signInError=…`, which is taken out of the address. */
function refusalFromAddress() {
  const url = new URL(location.href);
  const code = url.searchParams.get('signInError');
  if (code === null) return '';
  url.searchParams.delete('signInError');
  history.replaceState(history.state, '', url.pathname + url.search + url.hash);
  return Object.hasOwn(refusals, code) ? (refusals[code] ?? '') : 'Signing in did not work. Try again.';
}
