/** Who is signed in here, and what that allows. The server decides; the page only says beforehand what it would say. */
import { useId } from './html.js';
import { isPast, usePast } from './past.js';
import { grants, isAmong } from './scopes.js';
import { createStore, useStore } from './store.js';

/** @import { Identity } from './shapes.js' */

/**
 * `asking`: not settled yet; `out`: nobody; `in`: `who`; `ended`: `who` was signed in until just now, so what he has typed stays.
 * @typedef {{ state: 'asking' | 'out' | 'in' | 'ended', who: Identity | null, reason: string }} Session
 */

/** `reason` says why nobody is signed in any longer; '' where there is nothing to say. */
export const session = createStore(/** @type {Session} */ ({ state: 'asking', who: null, reason: '' }));

/** @param {Identity} who */
export const isIn = who => session.set({ state: 'in', who, reason: '' });

/** Nobody is signed in, and what was shown is taken away. @param {string} [reason] */
export const isOut = (reason = '') => session.set({ state: 'out', who: null, reason });

/** The server no longer knows the session. Whoever was signed in can go on once he has signed in again. */
export function hasEnded() {
  const { state, who } = session.get();
  if (state === 'in') session.set({ state: 'ended', who, reason: 'Your session has ended.' });
  else if (state === 'asking') isOut();
}

/**
 * Why who is signed in may not do what needs this scope, of this app where it is about one; '' when he may.
 * @param {Identity | null} who
 * @param {string} scope
 * @param {string} [appId]
 */
function whyNot(who, scope, appId) {
  if (who === null) return 'Sign in first';
  if (isPast() && !scope.endsWith(':read')) return 'The past can only be looked at: go back to now';
  if (!grants(who.scopes, scope)) return `Needs the scope ${scope}`;
  if (appId !== undefined && !isAmong(who.apps, appId))
    return `Not among the apps you may reach: ${who.apps?.join(', ')}`;
  return '';
}

/** @param {string} scope */
export const may = scope => whyNot(session.get().who, scope) === '';

/**
 * Whether something may be done, for the button that does it and for the sentence that says why not.
 * @typedef {{ why: string, id: string }} May
 * @param {string} scope @param {string} [appId] @returns {May}
 */
export function useMay(scope, appId) {
  const { who } = useStore(session);
  usePast();
  return { why: whyNot(who, scope, appId), id: useId() };
}

/** @type {Identity} */
const nobody = {
  subject: '',
  name: null,
  kind: 'anonymous',
  scopes: [],
  apps: null,
  expires: null,
  credentialId: null,
  csrfToken: null,
};

/** Who is signed in. */
export const useWho = () => useStore(session).who ?? nobody;
