/** What workers would report, said to the deciders as they would say it: for tests of what is seen of it over HTTP. */
import { execute } from '../../commands/execute.ts';
import { type BuildCommand, build } from '../../domain/apps/build.ts';
import type { DeploymentEnd } from '../../domain/apps/deployment.ts';
import { type Inspection, ingestion } from '../../domain/apps/ingestion.ts';
import { launch } from '../../domain/apps/launch.ts';
import { repository } from '../../domain/apps/repository.ts';
import type { Api } from './api.ts';

export const commit = '0123456789abcdef0123456789abcdef01234567';

let turn = 0;
const cause = () => {
  turn += 1;
  return {
    actor: 'worker:played',
    correlationId: `correlation-${turn}`,
    causationId: `causation-${turn}`,
    time: new Date().toISOString(),
  };
};

type Target = Pick<Api, 'store' | 'wrote'>;

async function say(
  target: Target,
  decider: Parameters<typeof execute>[1],
  id: string,
  command: never,
): Promise<void> {
  const { position } = await execute(target.store, decider, id, command, cause());
  if (position !== null) target.wrote(position);
}

const ingestions = ingestion as never;
const builds = build as never;
const launches = launch as never;

export async function queueIngestion(api: Target, appId: string): Promise<void> {
  const data = { appId, cause: 'registered', at: new Date().toISOString() };
  await say(api, ingestions, appId, { type: 'QueueIngestion', data } as never);
}

export async function startIngestion(api: Target, appId: string, run = 1): Promise<void> {
  await say(api, ingestions, appId, {
    type: 'StartIngestion',
    data: { appId, run, at: new Date().toISOString() },
  } as never);
}

export async function failIngestion(
  api: Target,
  appId: string,
  attempt: number,
  retryAt: string | null,
): Promise<void> {
  const data = {
    appId,
    run: 1,
    attempt,
    reason: 'no route to host',
    commit: null,
    durations: { cloneMs: 12, inspectMs: 0, storeMs: 0 },
    retryAt,
    durationMs: 12,
    at: new Date().toISOString(),
  };
  await say(api, ingestions, appId, { type: 'FailIngestion', data } as never);
}

/** Queued, begun and finished: the app is ready, with the commit above. */
export async function ingest(api: Target, appId: string, found: Partial<Inspection> = {}): Promise<void> {
  await queueIngestion(api, appId);
  await startIngestion(api, appId);
  await finishIngestion(api, appId, 1, found);
}

export async function finishIngestion(
  api: Target,
  appId: string,
  attempt: number,
  found: Partial<Inspection> = {},
): Promise<void> {
  const inspection: Inspection = {
    dockerfilePath: 'Dockerfile',
    title: null,
    description: null,
    homepage: null,
    tags: [],
    previews: [],
    ports: [8_081],
    healthcheck: false,
    ...found,
  };
  const durations = { cloneMs: 10, inspectMs: 20, storeMs: 30 };
  const at = new Date().toISOString();
  const data = { appId, run: 1, attempt, commit, branch: 'main', inspection, durations, at };
  await say(api, ingestions, appId, { type: 'FinishIngestion', data } as never);
}

export async function startBuild(api: Target, buildId: string): Promise<void> {
  await say(api, builds, buildId, {
    type: 'StartBuild',
    data: { buildId, at: new Date().toISOString() },
  } as never);
}

export async function finishBuild(
  api: Target,
  buildId: string,
  result: Extract<BuildCommand, { type: 'FinishBuild' }>['data']['result'] = {
    image: 'apphub/x:1',
    imageId: 'sha256:1',
    bytes: 5,
    ports: [8_081, 80],
  },
  attempt = 1,
): Promise<void> {
  const log = { lines: 2, bytes: 20, truncated: false };
  const data = { buildId, attempt, durationMs: 99, log, at: new Date().toISOString(), result };
  await say(api, builds, buildId, { type: 'FinishBuild', data } as never);
}

export async function removeImage(api: Target, buildId: string, reason: 'count' | 'disk'): Promise<void> {
  const data = { buildId, reason, at: new Date().toISOString() };
  await say(api, builds, buildId, { type: 'RemoveBuildImage', data } as never);
}

/** What an engine said of the image. */
export async function reportImage(api: Target, buildId: string, isThere: boolean): Promise<void> {
  const data = { buildId, isThere, at: new Date().toISOString() };
  await say(api, builds, buildId, { type: 'ReportBuildImage', data } as never);
}

export async function release(api: Target, appId: string, buildId: string): Promise<void> {
  const at = new Date().toISOString();
  const one = { buildId, commit, image: 'apphub/x:1', imageId: 'sha256:1', ports: [80], requestedAt: at };
  await say(api, repository as never, appId, {
    type: 'ReleaseRepository',
    data: { appId, at, release: one },
  } as never);
}

/** An app that is registered, ingested, built and released; and its build. */
export async function launchableApp(
  api: Pick<Api, 'store' | 'wrote' | 'write'>,
  appId: string,
): Promise<string> {
  await api.write('POST', '/apps', { id: appId, name: appId, repoUrl: 'https://git.example/app.git' });
  await ingest(api, appId);
  const { id } = await api.write('POST', `/apps/${appId}/builds`);
  await startBuild(api, id);
  await finishBuild(api, id);
  await release(api, appId, id);
  return id;
}

export async function startLaunch(api: Target, launchId: string, hostPort = 40_000): Promise<void> {
  const at = new Date().toISOString();
  const place = { containerId: `container-${launchId}`, engine: 'default', host: '127.0.0.1', hostPort };
  const started = { launchId, deployment: 1, ...place, port: 80, at };
  await say(api, launches, launchId, { type: 'StartLaunch', data: started } as never);
}

export async function markRunning(api: Target, launchId: string): Promise<void> {
  const data = { launchId, deployment: 1, startedInMs: 850, at: new Date().toISOString() };
  await say(api, launches, launchId, { type: 'MarkLaunchRunning', data } as never);
}

/** The deployment that is coming gets its container and answers. */
export async function bringUp(api: Target, launchId: string, deployment: number): Promise<void> {
  const at = new Date().toISOString();
  const place = { containerId: `k${deployment}`, engine: 'default', host: '127.0.0.1', hostPort: 40_000 };
  const started = { launchId, deployment, ...place, port: 80, at };
  await say(api, launches, launchId, { type: 'StartLaunch', data: started } as never);
  const answers = { launchId, deployment, startedInMs: 420, at: new Date().toISOString() };
  await say(api, launches, launchId, { type: 'MarkLaunchRunning', data: answers } as never);
}

/** Its container ends, or none comes up; what follows the decider says. */
export async function endDeployment(
  api: Target,
  launchId: string,
  deployment: number,
  end: Partial<DeploymentEnd> = {},
): Promise<void> {
  const ended = { reason: 'The app ended by itself with exit code 3', exitCode: 3, oomKilled: false };
  const data = {
    launchId,
    deployment,
    ...ended,
    lastLines: ['oh', 'no'],
    ...end,
    at: new Date().toISOString(),
  };
  await say(api, launches, launchId, { type: 'FailDeployment', data } as never);
}

/** The container of a deployment that is over is gone. */
export async function confirmRetired(api: Target, launchId: string, deployment: number): Promise<void> {
  const data = { launchId, deployment, at: new Date().toISOString() };
  await say(api, launches, launchId, { type: 'ConfirmRetired', data } as never);
}

export async function confirmRemoved(api: Target, launchId: string): Promise<void> {
  const data = { launchId, at: new Date().toISOString() };
  await say(api, launches, launchId, { type: 'ConfirmLaunchRemoved', data } as never);
}

export async function failLaunch(api: Target, launchId: string): Promise<void> {
  const data = {
    launchId,
    deployment: 1,
    reason: 'it exited',
    exitCode: 3,
    oomKilled: false,
    lastLines: ['oh', 'no'],
    at: new Date().toISOString(),
  };
  await say(api, launches, launchId, { type: 'FailDeployment', data } as never);
}
