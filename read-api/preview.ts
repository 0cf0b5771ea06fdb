/**
 * Where launches are, for the proxy before them: who may visit each, where its container listens, or what its visitor is
 * told.
 */
import type { Knex } from 'knex';
import type { Target } from '../platform/preview-target.ts';

const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

type Told = { readonly title: string; readonly message: string };

const comingUp: Readonly<Record<string, Told>> = {
  requested: { title: 'Waiting to start', message: 'The app has been asked for.' },
  starting: { title: 'Starting', message: 'The app is coming up.' },
  asleep: { title: 'Waking up', message: 'Nobody has visited the app for a while. It is coming up.' },
  waking: { title: 'Waking up', message: 'Nobody has visited the app for a while. It is coming up.' },
  restarting: { title: 'Starting again', message: 'The app ended by itself and is started again.' },
};
const over: Readonly<Record<string, Told>> = {
  stopping: { title: 'Stopping', message: 'This launch is being stopped.' },
  stopped: { title: 'Stopped', message: 'This launch was stopped.' },
  expired: { title: 'Expired', message: 'The time of this launch is over.' },
  failed: { title: 'Failed', message: 'The app did not stay up.' },
};

const columns = [
  'launch_id',
  'status',
  'access',
  'link_epoch',
  'deployment',
  'host',
  'host_port',
  'failure',
  'slept_at',
] as const;

type Row = {
  readonly launch_id: string;
  readonly status: string;
  readonly access: 'private' | 'public';
  readonly link_epoch: number;
  readonly deployment: number;
  readonly host: string | null;
  readonly host_port: number | null;
  readonly failure: { readonly reason: string; readonly at?: string } | null;
  readonly slept_at: string | null;
};

/** The launches of these ids in one query. Those that are not in the answer are not there. */
export async function targetsOf(sql: Knex, names: readonly string[]): Promise<Map<string, Target>> {
  const ids = names.filter(name => uuidPattern.test(name));
  if (ids.length === 0) return new Map();
  const rows: Row[] = await sql('apps_launches')
    .whereRaw('launch_id = any(?)', [ids])
    .select(...columns);
  return new Map(rows.map(row => [row.launch_id, targetOf(row)]));
}

function targetOf(row: Row): Target {
  const { status, deployment, host, host_port: port } = row;
  const launch = { launchId: row.launch_id, access: row.access, linkEpoch: row.link_epoch };
  if (status === 'running' && host !== null && port !== null) return { ...launch, state: 'up', host, port };
  const ended = over[status];
  if (ended !== undefined) {
    const why = status === 'failed' && row.failure !== null ? ` ${sentence(row.failure.reason)}` : '';
    return { ...launch, state: 'over', title: ended.title, message: `${ended.message}${why}` };
  }
  const told = comingUp[status] ?? { title: 'One moment', message: 'The app is coming up.' };
  const message = status === 'asleep' ? (whyNotWoken(row) ?? told.message) : told.message;
  return {
    ...launch,
    state: 'coming',
    isAsleep: status === 'asleep',
    deployment,
    title: told.title,
    message,
  };
}

/** It sleeps because the container that was to wake it failed. */
function whyNotWoken({ failure, slept_at: sleptAt }: Row): string | undefined {
  if (failure?.at === undefined) return undefined;
  const isLater = sleptAt === null || failure.at > sleptAt;
  return isLater ? `The app did not come up. ${sentence(failure.reason)}` : undefined;
}

const sentence = (text: string): string => (/[.!?]$/.test(text) ? text : `${text}.`);
