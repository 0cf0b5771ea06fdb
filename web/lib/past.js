/** The time that the whole page is looked at: now, or an earlier one that the address names with `asOf`. */
import { go, place } from './router.js';
import { createStore, useStore } from './store.js';

/**
 * `asOf` is '' for now; `at` is the moment it means, once it is known.
 * @typedef {{ asOf: string, at: string }} Past
 */

const read = () => place.get().query.get('asOf') ?? '';

export const past = createStore(/** @type {Past} */ ({ asOf: read(), at: '' }));
place.watch(() => {
  const asOf = read();
  const before = past.get();
  if (asOf !== before.asOf) past.set({ asOf, at: timeIn(asOf) ?? before.at });
});

/** A time says itself which moment it is, near enough. @param {string} asOf */
const timeIn = asOf => (asOf.includes('T') ? asOf : undefined);

export const usePast = () => useStore(past);
export const isPast = () => past.get().asOf !== '';

/** The moment that is looked at has become known. @param {string} at */
export function isAt(at) {
  const { asOf } = past.get();
  if (asOf !== '' && past.get().at !== at) past.set({ asOf, at });
}

/** Stays on the page and looks at it as of then; '' is now. @param {string} asOf @param {{ replace?: boolean }} [options] */
export const lookAt = (asOf, options) => go(location.pathname + location.search, { ...options, asOf });
