/** Where a launch's container listens, for the proxy before it; or what its visitor is told. */
import type { Knex } from 'knex';

const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

type Told = { status: number; title: string; message: string };

const told: Readonly<Record<string, Told>> = {
  requested: { status: 503, title: 'Waiting to start', message: 'The app has been asked for.' },
  starting: {
    status: 503,
    title: 'Starting',
    message: 'The app is coming up. This page looks again by itself.',
  },
  asleep: { status: 503, title: 'Asleep', message: 'Nobody has visited the app for a while.' },
  waking: { status: 503, title: 'Waking', message: 'The app is coming up. This page looks again by itself.' },
  restarting: {
    status: 503,
    title: 'Starting again',
    message: 'The app ended by itself and is started again. This page looks again by itself.',
  },
  stopping: { status: 410, title: 'Stopping', message: 'This launch is being stopped.' },
  stopped: { status: 410, title: 'Stopped', message: 'This launch was stopped.' },
  expired: { status: 410, title: 'Expired', message: 'The time of this launch is over.' },
  failed: { status: 410, title: 'Failed', message: 'The app did not stay up. Its page says why.' },
};

/** One look-up by primary key a request; one that is asleep is woken by it. Undefined: there is no such launch. */
export async function upstreamOf(
  sql: Knex,
  launchId: string,
  wake: (launchId: string) => Promise<void>,
): Promise<{ host: string; port: number } | Told | undefined> {
  if (!uuidPattern.test(launchId)) return undefined;
  const row = await sql('apps_launches').where({ launch_id: launchId }).first('status', 'host', 'host_port');
  if (row === undefined) return undefined;
  if (row.status === 'asleep') await wake(launchId);
  return row.status === 'running' ? { host: row.host, port: row.host_port } : told[row.status];
}
