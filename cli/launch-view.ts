/** Launches and their containers as people see them on a terminal. */
import type { Deployment, Launch, LaunchFailure, Many, Sandbox } from './api.ts';
import { duration, plain, relative, shortCommit } from './format.ts';
import { facts, type Output, status } from './output.ts';

const addressColumnsMin = 150;
const over = ['stopped', 'expired', 'failed'];

export function launchRows(out: Output, { data }: Many<Launch>): void {
  if (data.length === 0) {
    out.note('There are no launches like that yet.');
    return;
  }
  const heads = [
    { title: 'LAUNCH' },
    { title: 'APP', shrinks: true },
    { title: 'STATUS' },
    { title: 'REQUESTED' },
    { title: 'ENDS' },
    { title: 'ADDRESS' },
  ];
  const rows = data.map(launch => [
    launch.id,
    launch.appId,
    launch.status,
    relative(launch.requestedAt),
    relative(launch.endedAt ?? launch.expiresAt),
    hasAddress(launch) ? launch.url : '-',
  ]);
  // Half an address is of no use: a narrow terminal leaves it to `launches open --print`.
  const shown = out.columns < addressColumnsMin ? heads.length - 1 : heads.length;
  out.table(
    heads.slice(0, shown),
    rows.map(row => row.slice(0, shown)),
    (cell, column) => (column === 2 ? status(out, cell) : cell),
  );
}

/** Whether a visit is answered, or wakes it. */
const hasAddress = ({ status: now }: Launch) => ['running', 'asleep', 'waking', 'restarting'].includes(now);

export function launchCard(out: Output, launch: Launch): void {
  const { failure, startedInMs, idleSeconds } = launch;
  out.line(`Launch ${out.paint('bold', launch.id)} of ${launch.appId}  ${status(out, launch.status)}`);
  facts(out, [
    ['Address', hasAddress(launch) ? plain(launch.url) : null],
    ['Access', launch.access],
    ['Because', because(launch)],
    ['Waiting', launch.waitingFor],
    ['Image', launch.image],
    ['Build', launch.buildId],
    ['Deployment', deploymentOf(launch)],
    ['Size', launch.resourceProfile],
    ['Port', launch.port === null ? null : String(launch.port)],
    ['Health path', launch.healthPath === null ? null : plain(launch.healthPath)],
    ['Sleeps', idleSeconds === null ? 'never' : `after ${duration(idleSeconds * 1_000)} without a visit`],
    ['Restart', launch.restart],
    ['Confined', sandboxLine(launch.sandbox)],
    ['Variables', launch.env.map(({ key, value }) => plain(`${key}=${value}`)).join(', ')],
    ['Owner', plain(launch.owner)],
    ['Requested', relative(launch.requestedAt)],
    ['Ready after', duration(startedInMs)],
    ['Asleep', launch.status === 'asleep' ? relative(launch.sleptAt) : null],
    [launch.endedAt === null ? 'Ends' : 'Ended', relative(launch.endedAt ?? launch.expiresAt)],
    ...failureFacts(launch),
  ]);
  for (const line of failure?.lastLines ?? []) out.line(`    ${out.paint('dim', plain(line))}`);
}

function because({ status: now, because: why, sleepReason }: Launch): string | null {
  if (now !== 'asleep' || sleepReason === null) return why;
  const words: Readonly<Record<string, string>> = {
    idle: 'nobody visited it',
    asked: 'somebody asked for it',
    evicted: 'others needed its room',
    quota: 'its quota is used up',
  };
  return [words[sleepReason] ?? sleepReason, why].filter(part => part !== null).join(': ');
}

function deploymentOf({ deployment, serving }: Launch): string {
  if (serving === null || serving === deployment) return String(deployment);
  return `${serving} serves, ${deployment} is the newest`;
}

/** The last failure there was; of a launch that runs it is one of before. */
function failureFacts({ status: now, failure }: Launch): [string, string | null][] {
  if (failure === null) return [];
  return [
    [over.includes(now) ? 'Failure' : 'Last failure', `${plain(failure.reason)}, ${relative(failure.at)}`],
    ['Exit code', failure.exitCode === null ? null : String(failure.exitCode)],
    ['Out of memory', failure.oomKilled ? 'yes; give it a larger --profile' : null],
    ['Crash loop', failure.isLoop ? 'yes; it is not started any more' : null],
  ];
}

export function deploymentRows(out: Output, launch: Launch, deployments: readonly Deployment[]): void {
  out.table(
    [
      { title: '#', right: true },
      { title: 'STATUS' },
      { title: 'CAUSE' },
      { title: 'COMMIT' },
      { title: 'BUILD' },
      { title: 'REQUESTED' },
      { title: 'HOW IT ENDED', shrinks: true },
    ],
    deployments.map(one => [
      String(one.deployment),
      one.failure === null ? one.status : 'failed',
      one.cause,
      shortCommit(one.commit),
      one.buildId,
      relative(one.requestedAt),
      endWords(launch, one),
    ]),
    (cell, column) => (column === 1 ? status(out, cell) : cell),
  );
}

function endWords({ endedAt }: Launch, { status: now, failure, notBefore, runningAt, goneAt }: Deployment) {
  if (now === 'coming') return notBefore === null ? '-' : `starts ${relative(notBefore)}`;
  if (failure !== null) return endOf(failure);
  if (now === 'serving') return '-';
  if (runningAt === null) return 'given up before it answered';
  const until = goneAt ?? endedAt;
  if (until === null) return 'answers what it was asked before';
  return `served for ${duration(Math.max(0, Date.parse(until) - Date.parse(runningAt)))}`;
}

function endOf({ reason, exitCode }: LaunchFailure): string {
  return exitCode === null || reason.includes(`exit code ${exitCode}`)
    ? reason
    : `${reason} (exit code ${exitCode})`;
}

/** How an app is confined, on one line. */
function sandboxLine({ egress, allowRoot, runtime }: Sandbox): string {
  const hosts = egress.length === 0 ? 'speaks to nobody' : `speaks to ${egress.map(plain).join(', ')} only`;
  const who = allowRoot ? 'may be root inside' : 'never root';
  return [hosts, who, ...(runtime === 'default' ? [] : [`runtime ${plain(runtime)}`])].join(', ');
}
