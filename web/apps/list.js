/** Lists that belong to one app: builds, launches, ingestions, history. Newest first, live, longer on demand. */
import { getJson } from '../lib/api.js';
import { useEffect } from '../lib/html.js';
import { useLive } from '../lib/live.js';
import { usePages } from '../lib/pages.js';
import { useDocker } from '../parts/health.js';

/** @import { Pages } from '../lib/pages.js' */
/** @import { Build, Deployment, HistoryEvent, Ingestion, Launch } from '../lib/shapes.js' */

/**
 * @template T
 * @param {string} appId
 * @param {string} what last part of the path
 * @param {string} streams beginning of the streams that change it
 * @param {number} [step] how many are shown first, and how many more each time
 * @param {(items: T[]) => boolean} [isMoved] whether such events of other apps change it too @returns {Pages<T>}
 */
function useList(appId, what, streams, step, isMoved = () => false) {
  /** @type {Pages<T>} */
  const list = usePages(`/apps/${encodeURIComponent(appId)}/${what}`, {
    isAbout: event =>
      event.stream.startsWith(streams) && (event.data.appId === appId || isMoved(list.items ?? [])),
    step,
  });
  const docker = useDocker();
  // An engine that has come back is no event.
  useEffect(() => {
    if (list.items !== undefined || list.error !== undefined) list.reload();
  }, [docker?.ok]);
  return list;
}

/** The place of a build that waits changes with those of other apps. @param {string} appId @returns {Pages<Build>} */
export const useBuilds = appId =>
  useList(appId, 'builds', 'apps.build-', undefined, items =>
    items.some(({ status }) => status === 'queued'),
  );
/** @param {string} appId @returns {Pages<Launch>} */
export const useLaunches = appId => useList(appId, 'launches', 'apps.launch-');
/**
 * What is at the path of a launch or below it, live.
 * @template T @param {string} launchId @param {string} [what] @returns {import('../lib/live.js').Live<T>}
 */
function useOfLaunch(launchId, what = '') {
  const path = `/launches/${encodeURIComponent(launchId)}${what}`;
  return useLive(path, {
    load: async options => (await getJson(path, options)).data,
    isAbout: event => event.stream === `apps.launch-${launchId}`,
  });
}

/** The containers a launch has had, newest first. */
export const useDeployments = (/** @type {string} */ launchId) =>
  /** @type {import('../lib/live.js').Live<Deployment[]>} */ (useOfLaunch(launchId, '/deployments'));
export const useLaunch = (/** @type {string} */ launchId) =>
  /** @type {import('../lib/live.js').Live<Launch>} */ (useOfLaunch(launchId));
/** @param {string} appId @param {number} [step] @returns {Pages<Ingestion>} */
export const useIngestions = (appId, step = 10) => useList(appId, 'ingestions', 'apps.ingestion-', step);
/** @param {string} appId @returns {Pages<HistoryEvent>} */
export const useHistory = appId => useList(appId, 'history', 'apps.', 50);
