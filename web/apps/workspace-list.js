/** The workspaces of an app and the snapshots of one, live. */
import { getJson } from '../lib/api.js';
import { useLive } from '../lib/live.js';
import { usePages } from '../lib/pages.js';

/** @import { Live } from '../lib/live.js' */
/** @import { Pages } from '../lib/pages.js' */
/** @import { Snapshot, Workspace } from '../lib/shapes.js' */

const streams = 'apps.workspace-';
/** What they hold is no event. */
const weighedEveryMs = 30_000;

/** @param {string} appId @returns {Pages<Workspace>} */
export const useWorkspaces = appId =>
  usePages(`/apps/${encodeURIComponent(appId)}/workspaces`, {
    isAbout: event => event.data.appId === appId && event.stream.startsWith(streams),
  });

/** One of them, weighed anew while it is looked at. @param {string} id @returns {Live<Snapshot[]>} */
export const useSnapshots = id =>
  useLive(id, {
    load: async options =>
      /** @type {Snapshot[]} */ (
        (await getJson(`/workspaces/${encodeURIComponent(id)}/snapshots`, options)).data
      ),
    isAbout: event => event.stream === `${streams}${id}`,
  });

export const weighedMs = weighedEveryMs;
