/** Lists that the API gives page by page: newest first, live, longer on demand. */
import { getJson } from './api.js';
import { useEffect, useState } from './html.js';
import { useLive } from './live.js';

/** @import { LogEvent } from './shapes.js' */

const limitMax = 200;

/**
 * @template T
 * @typedef {{ items: T[] | undefined, error: Error | undefined, more: (() => void) | undefined, reload(): void }} Pages
 */

/**
 * What is at this path, which may have a query.
 * @template T
 * @param {string} path
 * @param {object} options
 * @param {(event: LogEvent) => boolean} options.isAbout whether an event changes the list
 * @param {number | undefined} [options.step] how many are shown first, and how many more each time
 * @param {number | undefined} [options.everyMs] the shortest time between two reads
 * @returns {Pages<T>}
 */
export function usePages(path, { isAbout, step = 20, everyMs }) {
  const [wanted, setWanted] = useState({ path, count: step });
  const count = wanted.path === path ? wanted.count : step;
  const live = useLive(path, {
    isAbout,
    ...(everyMs === undefined ? {} : { everyMs }),
    load: options => loadPages(path, count, options),
  });
  // A longer list is no event.
  useEffect(() => {
    if (live.value !== undefined || live.error !== undefined) live.reload();
  }, [count]);
  return {
    items: /** @type {T[] | undefined} */ (live.value?.items),
    error: live.error,
    more: live.value?.hasMore === true ? () => setWanted({ path, count: count + step }) : undefined,
    reload: live.reload,
  };
}

/** @param {string} path @param {number} count @param {{ after?: string | undefined, signal: AbortSignal }} options */
async function loadPages(path, count, options) {
  const { pathname, searchParams } = new URL(path, location.origin);
  /** @type {unknown[]} */
  const items = [];
  for (;;) {
    searchParams.set('limit', String(Math.min(limitMax, count - items.length)));
    const { data, meta } = await getJson(`${pathname}?${searchParams}`, options);
    items.push(...data);
    if (meta.nextCursor === null || items.length >= count)
      return { items, hasMore: meta.nextCursor !== null };
    searchParams.set('cursor', meta.nextCursor);
  }
}
