/** What has just happened, said once: read out to those who do not see it, and shown for a while to those who do. */
import { createStore } from './store.js';

/** @typedef {{ id: number, text: string, tone: 'good' | 'bad' }} Toast */

const shownMs = 5_000;
const toastsMax = 3;
let lastId = 0;

/** @type {import('./store.js').Store<readonly Toast[]>} */
export const toasts = createStore(/** @type {readonly Toast[]} */ ([]));
/** For a live region only. */
export const spoken = createStore('');

/** Says something that is plain to see anyway. @param {string} text */
export function say(text) {
  // The same words again are only read out when they differ.
  spoken.set(text === spoken.get() ? `${text}\u00a0` : text);
}

/** @param {string} text @param {'good' | 'bad'} [tone] */
export function toast(text, tone = 'good') {
  lastId += 1;
  const id = lastId;
  toasts.set([...toasts.get(), { id, text, tone }].slice(-toastsMax));
  setTimeout(() => dismiss(id), tone === 'bad' ? 2 * shownMs : shownMs);
}

/** @param {number} id */
export const dismiss = id => toasts.set(toasts.get().filter(one => one.id !== id));
