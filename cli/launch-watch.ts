/** Follows a launch until it has come to what is waited for. */
import type { Deployment, Launch, LogEvent, Many, One } from './api.ts';
import type { Client } from './client.ts';
import { exits } from './exit.ts';
import { plain } from './format.ts';
import { launchCard } from './launch-view.ts';
import type { Output } from './output.ts';
import { progressLine } from './say.ts';
import { watch } from './watch.ts';

/**
 * `running`: it runs, sleeps, or is over; `asleep`: it has no container; `over`: nothing is left of it; a number: that deployment
 * serves, or never will.
 */
type Until = 'running' | 'asleep' | 'over' | number;
export type WatchedLaunch = { id: string; from: string | null | undefined; until: Until };

type Codes = Readonly<Record<string, number>>;

export function launchPath(...parts: readonly string[]): string {
  return `/launches/${parts.map(encodeURIComponent).join('/')}`;
}

/** Resolves with the exit code: ok when it has come to what was waited for. */
export async function watchLaunch(
  client: Client,
  out: Output,
  { id, from, until }: WatchedLaunch,
  signal: AbortSignal,
): Promise<number> {
  const codes = codesOf(until);
  const read = async (after: string | null | undefined) =>
    (await client.get<One<Launch>>(launchPath(id), { after })).data;
  const isOver = async () => {
    const now = await read(from);
    if (now.waitingFor != null) out.note(`Waiting: ${now.waitingFor}`);
    return codes[now.status] ?? (typeof until === 'number' ? endOf(client, id, until, from) : undefined);
  };
  const { code, position } = await watch(
    client,
    out,
    {
      stream: `apps.launch-${id}`,
      from,
      say: event => progressLine(out, event),
      ends: event => (typeof until === 'number' ? endBy(event, until) : undefined) ?? codes[event.type],
      isOver,
    },
    signal,
  );
  const data = await read(position);
  if (out.json) out.record({ kind: 'result', data });
  else if (code === exits.ok && until !== 'over' && data.status === 'running') {
    out.line(plain(data.url));
    if (data.access === 'private') out.note(`It is private: \`apphub launches open ${id}\` lets you in.`);
  } else launchCard(out, data);
  return code;
}

/** What ends the wait, by status and by event. */
function codesOf(until: Until): Codes {
  const over = until === 'over' ? exits.ok : exits.failed;
  const always: Codes = {
    stopped: over,
    expired: over,
    failed: exits.failed,
    LaunchStopped: over,
    LaunchExpired: over,
    LaunchFailed: exits.failed,
  };
  if (until === 'asleep') return { ...always, asleep: exits.ok, LaunchSlept: exits.ok };
  if (until !== 'running') return always;
  return {
    ...always,
    running: exits.ok,
    asleep: exits.ok,
    LaunchRunning: exits.ok,
    LaunchSlept: exits.ok,
  };
}

/** Whether an event decides about this deployment. */
function endBy({ type, data }: LogEvent, deployment: number): number | undefined {
  if (data.superseded === deployment) return exits.failed;
  if (data.deployment !== deployment) return undefined;
  if (type === 'LaunchRunning') return exits.ok;
  return type === 'LaunchDeploymentFailed' || type === 'LaunchCrashed' ? exits.failed : undefined;
}

async function endOf(
  client: Client,
  id: string,
  deployment: number,
  after: string | null | undefined,
): Promise<number | undefined> {
  const { data } = await client.get<Many<Deployment>>(launchPath(id, 'deployments'), { after });
  const found = data.find(one => one.deployment === deployment);
  if (found === undefined || found.status === 'coming') return undefined;
  return found.runningAt === null ? exits.failed : exits.ok;
}
