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
  /** Null: of a host name whose app has no launch. */
  readonly launch_id: string | null;
  readonly status: string;
  readonly access: 'private' | 'public';
  readonly link_epoch: number;
  readonly deployment: number;
  readonly host: string | null;
  readonly host_port: number | null;
  readonly failure: { readonly reason: string; readonly at?: string } | null;
  readonly slept_at: string | null;
};

/**
 * What these names mean, ids of launches and host names of somebody's own, in two queries at most. Others are not in the
 * answer.
 */
export async function targetsOf(sql: Knex, names: readonly string[]): Promise<Map<string, Target>> {
  const ids = names.filter(name => uuidPattern.test(name));
  const hosts = names.filter(name => name.includes('.'));
  const found = new Map<string, Target>();
  if (ids.length > 0) {
    const rows: Row[] = await sql('apps_launches')
      .whereRaw('launch_id = any(?)', [ids])
      .select(...columns);
    for (const row of rows) found.set(row.launch_id ?? '', targetOf(row));
  }
  if (hosts.length === 0) return found;
  const { rows } = await sql.raw(shownByHosts, [hosts]);
  for (const row of rows as readonly (Row & { readonly name: string })[]) {
    const target = row.launch_id === null ? nothingRuns : targetOf(row);
    found.set(row.name, target.state === 'over' ? { ...nothingRuns, launchId: target.launchId } : target);
  }
  return found;
}

/**
 * Of each host name the launch that was chosen, else the newest of the app, those before others that were up and are not
 * over.
 */
const shownByHosts = `
  select h.host as name, l.* from apps_host_names h left join lateral (
    select ${columns.join(', ')} from apps_launches l
    where l.app_id = h.app_id and (h.launch_id is null or l.launch_id = h.launch_id)
    order by case when l.status in ('running', 'asleep', 'waking', 'restarting') then 0
      when l.status in ('requested', 'starting') then 1 else 2 end, l.requested_at desc, l.launch_id desc
    limit 1) l on true
  where h.host = any(?)`;

const nothingRuns: Target = {
  launchId: '',
  access: 'public',
  linkEpoch: 0,
  state: 'over',
  isPassing: true,
  title: 'Nothing runs here',
  message: 'No launch of this app runs at the moment.',
};

function targetOf(row: Row): Target {
  const { status, deployment, host, host_port: port } = row;
  const launch = { launchId: row.launch_id ?? '', access: row.access, linkEpoch: row.link_epoch };
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
