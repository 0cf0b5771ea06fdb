/** Builds: asked for by each ingestion, begun in the order they were asked for, reported, and what they make released. */
import type { Knex } from 'knex';
import { deriveId } from '../../commands/derive-id.ts';
import { execute, stateOf } from '../../commands/execute.ts';
import { type BuildFailure, build } from '../../domain/apps/build.ts';
import { buildInput } from '../../domain/apps/build-input.ts';
import { ingestion } from '../../domain/apps/ingestion.ts';
import { repository } from '../../domain/apps/repository.ts';
import type { EventOf, Recorded } from '../../domain/events.ts';
import { faultPoint } from '../../platform/fault.ts';
import type { LogStore } from '../../platform/log-store.ts';
import { attempt, causedBy, type Effect, type Send, Shutdown, textOf } from '../effect.ts';
import { pause } from '../inline-queue.ts';
import { cancel, type Reaction, run } from '../reaction.ts';
import { tablesHave, whyFullDisk } from '../tables.ts';
import { type AttemptDeps, buildOrExplain, type Made, messageOf, secretsOf } from './build-attempt.ts';

const lookEveryMs = 500;
const rowsMax = 1_000;

export const buildReaction: Reaction = {
  on: {
    IngestionSucceeded: event => [
      run('build-request', event.id, { appId: event.data.appId, eventId: event.id }),
    ],
    BuildRequested: ({ data: { buildId, appId, pinned }, position }) => [
      ...(pinned ? [] : [run('supersede', buildId, { appId, position: position.toString() })]),
      run('build', buildId, { buildId }),
    ],
    BuildCancelled: ({ data }) => [cancel('build', data.buildId)],
    BuildSuperseded: ({ data }) => [cancel('build', data.buildId)],
    BuildSucceeded: ({ data }) => [run('release', data.buildId, { buildId: data.buildId })],
  },
};

export type BuildDeps = AttemptDeps & {
  readonly sql: Knex;
  readonly logs: LogStore;
};

/** What was found in a repository is built. The id follows from the event, so it is one build however often this runs. */
export function requestBuild(deps: BuildDeps): Effect {
  return {
    name: 'build-request',
    atOnce: 'inOrder',
    async run(data) {
      const appId = textOf(data, 'appId');
      const ingested = await stateOf(deps.store, ingestion, appId);
      const described = await stateOf(deps.store, repository, appId);
      const event = ingested?.events.find(({ id }) => id === data.eventId) as
        | Recorded<EventOf<'IngestionSucceeded'>>
        | undefined;
      if (event === undefined || described?.state.status !== 'registered') return;
      const { repoUrl, ref } = described.state.description;
      const { commit, inspection } = event.data;
      const { dockerfilePath } = inspection;
      const args = (await stateOf(deps.store, buildInput, appId))?.state.args ?? {};
      const spec = { appId, repoUrl, ref, commit, dockerfilePath, args };
      const metadata = causedBy(event, deps.clock);
      const buildId = deriveId('build', event.id);
      const request = { buildId, cause: 'ingested', pinned: false, at: metadata.time, ...spec } as const;
      await execute(deps.store, build, buildId, { type: 'RequestBuild', data: request }, metadata);
    },
  };
}

/** A build that succeeded becomes what is launched, unless a newer one already is. */
export function releaseBuild(deps: BuildDeps): Effect {
  return {
    name: 'release',
    atOnce: 'inOrder',
    async run(data) {
      const buildId = textOf(data, 'buildId');
      const found = await stateOf(deps.store, build, buildId);
      const event = found?.events.at(-1);
      const { spec, built, requestedAt } = found?.state ?? {};
      if (event === undefined || spec == null || built == null || requestedAt == null) return;
      const { image, imageId, ports } = built;
      const release = { buildId, commit: spec.commit, image, imageId, ports, requestedAt };
      const metadata = causedBy(event, deps.clock);
      const command = {
        type: 'ReleaseRepository',
        data: { appId: spec.appId, at: metadata.time, release },
      } as const;
      await attempt(deps, repository, spec.appId, command, metadata, ['archived', 'not-found']);
    },
  };
}

/** Builds of the app that wait though a newer commit is to be built, are given up. */
export function supersedeBuilds(deps: SupersedeDeps): Effect {
  return {
    name: 'supersede',
    atOnce: 2,
    async run(data, signal) {
      await tablesHave(deps.sql, BigInt(textOf(data, 'position')), signal);
      await supersede(deps, { 'old.app_id': textOf(data, 'appId') });
    },
  };
}

export type SupersedeDeps = Send & { readonly sql: Knex };

/**
 * Gives up what waits, is not pinned, and has a newer one of another commit behind it. The tables may lag: whoever is missed
 * here is found when it is about to begin, or by a sweep. A build that runs goes on.
 */
export async function supersede(deps: SupersedeDeps, which: Readonly<Record<string, string>>): Promise<void> {
  const rows = await deps
    .sql('apps_builds as old')
    .join('apps_builds as new', 'new.app_id', 'old.app_id')
    .where({ 'old.status': 'queued', 'old.pinned': false, 'new.pinned': false, ...which })
    .whereIn('new.status', ['queued', 'running', 'succeeded'])
    .whereRaw('new.asked_position > old.asked_position and new.commit <> old.commit')
    .distinctOn('old.asked_position')
    .orderBy(['old.asked_position', { column: 'new.asked_position', order: 'desc' }])
    .limit(rowsMax)
    .select('old.build_id', 'new.build_id as new_id', 'new.commit');
  for (const { build_id: buildId, new_id: newId, commit } of rows) {
    const newer = await stateOf(deps.store, build, newId);
    const event = newer?.events[0];
    if (event === undefined) continue;
    const metadata = causedBy(event, deps.clock);
    const data = { buildId, by: { buildId: newId, commit }, at: metadata.time };
    await execute(deps.store, build, buildId, { type: 'SupersedeBuild', data }, metadata);
  }
}

export function runBuild(deps: BuildDeps): Effect {
  return {
    name: 'build',
    atOnce: deps.buildsAtOnce,
    async run(data, signal) {
      const buildId = textOf(data, 'buildId');
      const found = await stateOf(deps.store, build, buildId);
      if (found === null || found.state.spec === null || found.state.status === 'finished') return;
      if (found.state.status === 'queued') await supersede(deps, { 'old.build_id': buildId });
      if (!(await untilItMayBegin(deps, signal))) return;
      const requested = found.events[0];
      if (requested === undefined) return;
      const send = (command: Parameters<typeof build.decide>[0]) =>
        attempt(deps, build, buildId, command, causedBy(requested, deps.clock), [
          'build/already-finished',
          'build/stale-attempt',
        ]);
      const started = await send({ type: 'StartBuild', data: { buildId, at: deps.clock.now() } });
      if (started === undefined) return;
      const number = started.state.attempt;
      const begun = performance.now();
      const { spec } = found.state;
      const secrets = await secretsOf(deps, spec);
      const writer = await deps.logs.writer(buildId);
      const say = (line: string) => writer.write(secrets.mask(line));
      if (number > 1) await writer.write(`--- attempt ${number} ---`);
      let result: Made | BuildFailure;
      try {
        faultPoint('build.started');
        result = await buildOrExplain(deps, { buildId, spec, number, secrets, say, signal });
      } catch (error) {
        const isCancelled = signal.aborted && !(signal.reason instanceof Shutdown);
        await say(isCancelled ? 'CANCELLED' : `INTERRUPTED ${interruption(error, signal)}`);
        await writer.close();
        if (isCancelled) return;
        throw error;
      }
      if ('reason' in result) await say(`FAILED ${result.reason}`);
      const log = await writer.close();
      const durationMs = Math.round(performance.now() - begun);
      const at = deps.clock.now();
      await send({ type: 'FinishBuild', data: { buildId, attempt: number, durationMs, log, at, result } });
      faultPoint('build.told');
    },
  };
}

/**
 * Waits, in its place before the others, while there is no engine or no room for what it makes. False: the process is going
 * down, or nobody wants it any more.
 */
async function untilItMayBegin(deps: BuildDeps, signal: AbortSignal): Promise<boolean> {
  while (!signal.aborted) {
    if ((await deps.docker.ping('build')).ok && (await whyFullDisk(deps.sql)) === null) return true;
    await pause(lookEveryMs, signal);
  }
  return false;
}

function interruption(error: unknown, signal: AbortSignal): string {
  if (signal.aborted) return 'AppHub is going down; the next start tries again';
  return `${messageOf(error)}; it is tried again`;
}
