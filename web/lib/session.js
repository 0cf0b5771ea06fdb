/**
 * Who is signed in: the token, where it is kept, and its end. It is kept for good only where its owner says so, never in
 * an address or a cookie, so that neither a link nor a previewed app can carry it away.
 */
import { createStore } from './store.js';

const key = 'apphub.token';

/** The token that is in use; '' while nobody is signed in. */
export const token = createStore(restore());
/** Why somebody who was signed in no longer is; '' where there is nothing to say. */
export const signedOutBecause = createStore('');

function restore() {
  try {
    return sessionStorage.getItem(key) ?? localStorage.getItem(key) ?? '';
  } catch {
    return '';
  }
}

/** @param {string} value @param {boolean} isKept whether this browser remembers it after it is closed */
export function signIn(value, isKept) {
  try {
    (isKept ? localStorage : sessionStorage).setItem(key, value);
  } catch {
    // Without storage the token lives as long as this tab.
  }
  signedOutBecause.set('');
  token.set(value);
}

/** Forgets the token in this tab and in the browser. */
export function signOut(reason = '') {
  try {
    sessionStorage.removeItem(key);
    localStorage.removeItem(key);
  } catch {
    // Nothing was kept.
  }
  signedOutBecause.set(reason);
  token.set('');
}

/** Takes the token out of `#token=…`, and the fragment out of the address bar and the history. */
export function tokenFromAddress() {
  const found = /^#token=([\w.~+/-]+)$/.exec(location.hash)?.[1] ?? '';
  if (found !== '') history.replaceState(history.state, '', location.pathname + location.search);
  return found;
}

// Signing out in one tab signs out in all of them.
addEventListener('storage', event => {
  if (event.key === key && event.newValue === null && sessionStorage.getItem(key) === null) token.set('');
});
