/**
 * Old shapes of events, lifted to today's when they are read. The log is never edited: when an event changes shape, a
 * function is added here under its type, with a stored example of the old shape in the test.
 */
import type { Json } from '../domain/kernel/decider.ts';

type Data = { readonly [key: string]: Json };

const noTimes = { cloneMs: 0, inspectMs: 0, storeMs: 0 };

const firstDeployment = { deployment: 1 };
const placedBefore = { engine: 'default', host: '127.0.0.1' };
const launchedBefore = {
  owner: 'operator',
  access: 'private',
  restart: 'no',
  idleSeconds: null,
  healthPath: null,
  sandbox: { egress: [], allowRoot: true, runtime: 'default' },
  workspace: null,
};

const upcasters = new Map<string, (data: Data) => Data>(
  Object.entries({
    // Before they said how far the attempt had come.
    IngestionAttemptFailed: (data: Data) => ({ commit: null, durations: noTimes, ...data }),
    IngestionFailed: (data: Data) => ({ commit: null, durations: noTimes, ...data }),
    // Before a launch had more than one deployment, an owner, a sandbox that could be chosen, and a workspace.
    LaunchRequested: (data: Data) => ({ ...launchedBefore, ...data }),
    LaunchStarting: (data: Data) => ({ ...firstDeployment, status: 'starting', ...placedBefore, ...data }),
    LaunchRunning: (data: Data) => ({ ...firstDeployment, replaced: null, serves: null, ...data }),
    LaunchStopping: (data: Data) => ({ because: null, coming: null, ...data }),
    LaunchFailed: (data: Data) => ({ ...firstDeployment, oomKilled: false, isLoop: false, ...data }),
    // Before builds had arguments, and a newer commit could take the place of one that waits.
    BuildRequested: (data: Data) => ({ args: {}, pinned: data.cause !== 'ingested', ...data }),
    // Before it was kept what an image was made of, and before there were registries.
    BuildSucceeded: (data: Data) => ({ provenance: null, pushed: null, ...data }),
  }),
);

/** The event's data in today's shape. */
export function upcast(type: string, data: Data): Data {
  return upcasters.get(type)?.(data) ?? data;
}
