/** The address is the state: what is shown follows from it, and links, back and forward just change it. */
import { createStore, useStore } from './store.js';

/** @typedef {{ path: string, query: URLSearchParams, count: number }} Place */

const pages = /^\/(?:access(?:\/(?:audit|usage))?|tables|a\/[^/]+(?:\/.*)?|open\/[^/]+)?$/;
let count = 0;

const read = () => {
  count += 1;
  return { path: location.pathname, query: new URLSearchParams(location.search), count };
};

/** @type {import('./store.js').Store<Place>} */
export const place = createStore(read());
export const usePlace = () => useStore(place);

/**
 * An earlier time that is looked at stays with whoever goes on, unless the address or `asOf` says another one; '' is now.
 * @param {string} wanted of this site @param {{ replace?: boolean, asOf?: string }} [options]
 */
export function go(wanted, { replace = false, asOf } = {}) {
  const url = withTime(wanted, asOf);
  if (url === location.pathname + location.search) return;
  const isOtherPage = new URL(url, location.href).pathname !== location.pathname;
  history[replace ? 'replaceState' : 'pushState'](null, '', url);
  place.set(read());
  if (isOtherPage) scrollTo(0, 0);
}

/** @param {string} wanted @param {string | undefined} asOf */
function withTime(wanted, asOf) {
  const url = new URL(wanted, location.href);
  const time = asOf ?? url.searchParams.get('asOf') ?? new URLSearchParams(location.search).get('asOf') ?? '';
  if (time === (url.searchParams.get('asOf') ?? '')) return wanted;
  if (time === '') url.searchParams.delete('asOf');
  else url.searchParams.set('asOf', time);
  return url.pathname + url.search;
}

/** Follows the browser's buttons and the links of the page that lead to the page. */
export function startRouter() {
  addEventListener('popstate', () => place.set(read()));
  document.addEventListener('click', event => {
    const isPlain = event.button === 0 && !(event.metaKey || event.ctrlKey || event.shiftKey || event.altKey);
    const target = event.target instanceof Element ? event.target.closest('a[href]') : null;
    if (!isPlain || event.defaultPrevented || !(target instanceof HTMLAnchorElement)) return;
    if (target.target !== '' || target.hasAttribute('download') || target.origin !== location.origin) return;
    if (!pages.test(target.pathname) || target.hash !== '') return;
    event.preventDefault();
    go(target.pathname + target.search);
  });
}

/** @param {string} appId @param {string} [section] */
export const appUrl = (appId, section) => `/a/${encodeURIComponent(appId)}${section ? `/${section}` : ''}`;
