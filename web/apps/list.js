/** Lists that belong to one app: builds, launches, ingestions, history. Newest first, live, longer on demand. */
import { useEffect } from '../lib/html.js';
import { usePages } from '../lib/pages.js';
import { useDocker } from '../parts/health.js';

/** @import { Pages } from '../lib/pages.js' */
/** @import { Build, HistoryEvent, Ingestion, Launch } from '../lib/shapes.js' */

/**
 * @template T
 * @param {string} appId
 * @param {string} what last part of the path
 * @param {string} streams beginning of the streams that change it
 * @param {number} [step] how many are shown first, and how many more each time @returns {Pages<T>}
 */
function useList(appId, what, streams, step) {
  const list = usePages(`/apps/${encodeURIComponent(appId)}/${what}`, {
    isAbout: event => event.data.appId === appId && event.stream.startsWith(streams),
    step,
  });
  const docker = useDocker();
  // An engine that has come back is no event.
  useEffect(() => {
    if (list.items !== undefined || list.error !== undefined) list.reload();
  }, [docker?.ok]);
  return list;
}

/** @param {string} appId @returns {Pages<Build>} */
export const useBuilds = appId => useList(appId, 'builds', 'apps.build-');
/** @param {string} appId @returns {Pages<Launch>} */
export const useLaunches = appId => useList(appId, 'launches', 'apps.launch-');
/** @param {string} appId @param {number} [step] @returns {Pages<Ingestion>} */
export const useIngestions = (appId, step = 10) => useList(appId, 'ingestions', 'apps.ingestion-', step);
/** @param {string} appId @returns {Pages<HistoryEvent>} */
export const useHistory = appId => useList(appId, 'history', 'apps.', 50);
