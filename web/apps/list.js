/** Lists that belong to one app: builds, launches, ingestions, history. Newest first, live, longer on demand. */
import { getJson } from '../lib/api.js';
import { useEffect, useState } from '../lib/html.js';
import { useLive } from '../lib/live.js';
import { useDocker } from '../parts/health.js';

/** @import { Build, HistoryEvent, Ingestion, Launch } from '../lib/shapes.js' */

const limitMax = 200;

/**
 * @template T
 * @typedef {{ items: T[] | undefined, error: Error | undefined, more: (() => void) | undefined, reload(): void }} List
 */

/**
 * @template T
 * @param {string} appId
 * @param {string} what last part of the path
 * @param {string} streams beginning of the streams that change it
 * @param {number} [step] how many are shown first, and how many more each time @returns {List<T>}
 */
function useList(appId, what, streams, step = 20) {
  const [count, setCount] = useState(step);
  const live = useLive(`${appId}/${what}`, {
    isAbout: event => event.data.appId === appId && event.stream.startsWith(streams),
    load: options => loadList(`/apps/${encodeURIComponent(appId)}/${what}`, count, options),
  });
  const docker = useDocker();
  // Neither a longer list nor an engine that has come back is an event.
  useEffect(() => {
    if (live.value !== undefined || live.error !== undefined) live.reload();
  }, [count, docker?.ok]);
  const hasMore = live.value?.hasMore === true;
  return {
    items: /** @type {T[] | undefined} */ (live.value?.items),
    error: live.error,
    more: hasMore ? () => setCount(count + step) : undefined,
    reload: live.reload,
  };
}

/** @param {string} path @param {number} count @param {{ after?: string | undefined, signal: AbortSignal }} options */
async function loadList(path, count, options) {
  /** @type {unknown[]} */
  const items = [];
  for (let cursor = ''; ; ) {
    const query = new URLSearchParams({ limit: String(Math.min(limitMax, count - items.length)) });
    if (cursor !== '') query.set('cursor', cursor);
    const { data, meta } = await getJson(`${path}?${query}`, options);
    items.push(...data);
    cursor = meta.nextCursor ?? '';
    if (cursor === '' || items.length >= count) return { items, hasMore: cursor !== '' };
  }
}

/** @param {string} appId @returns {List<Build>} */
export const useBuilds = appId => useList(appId, 'builds', 'apps.build-');
/** @param {string} appId @returns {List<Launch>} */
export const useLaunches = appId => useList(appId, 'launches', 'apps.launch-');
/** @param {string} appId @param {number} [step] @returns {List<Ingestion>} */
export const useIngestions = (appId, step = 10) => useList(appId, 'ingestions', 'apps.ingestion-', step);
/** @param {string} appId @returns {List<HistoryEvent>} */
export const useHistory = appId => useList(appId, 'history', 'apps.', 50);
