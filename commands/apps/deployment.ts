/** What is asked of a launch while it lives: another image behind the same address, sleep, waking, more time. */
import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { build } from '../../domain/apps/build.ts';
import {
  type LaunchCommand,
  type LaunchEvent,
  type LaunchSpec,
  type LaunchState,
  launch,
} from '../../domain/apps/launch.ts';
import * as limits from '../../domain/kernel/limits.ts';
import { Refusal } from '../../domain/kernel/refusal.ts';
import type { EventStore } from '../../eventstore/store.ts';
import { requireApp } from '../../platform/auth.ts';
import type { Clock } from '../clock.ts';
import { execute, outcomeBefore, stateOf } from '../execute.ts';
import { Accepted, accepted, type Cause, causeOf, NoBody } from '../request.ts';
import { deploymentOf, imageOf, type LaunchDeps } from './launch.ts';
import { presentApp } from './present-app.ts';
import { refuseUsedUp } from './quota.ts';
import { refuseFull } from './workspace-use.ts';

const config = { scope: 'apps:launch' } as const;
const tags = ['launches'];
const params = Type.Object({ launchId: Type.String({ format: 'uuid' }) });
const response = { 202: Accepted };
const WhichBuild = Type.Optional(
  Type.Object({ buildId: Type.Optional(Type.String({ format: 'uuid' })) }, { additionalProperties: false }),
);
const HowLong = Type.Object(
  {
    ttlSeconds: Type.Optional(
      Type.Integer({ minimum: limits.launchTtlSecondsMin, maximum: limits.launchTtlSecondsMax }),
    ),
  },
  { additionalProperties: false },
);

type Present = { readonly state: LaunchState; readonly events: readonly LaunchEvent[] };
type Command = (present: Present, launchId: string, at: string) => Promise<LaunchCommand> | LaunchCommand;

export function deploymentCommands(deps: LaunchDeps): FastifyPluginAsyncTypebox {
  const { store } = deps;

  return async app => {
    const ask = asker(deps);
    const say = (summary: string) => ({ tags, summary, params, response });

    app.post(
      '/launches/:launchId/redeploy',
      {
        config,
        schema: {
          ...say(
            'Run another build behind the same address; the old one serves until the new one is healthy',
          ),
          body: WhichBuild,
        },
      },
      (request, reply) =>
        ask(request, reply, async ({ state }, launchId, at) => {
          const { release } = await presentApp(store, state.appId ?? '');
          const buildId = request.body?.buildId ?? release?.buildId;
          await refuseStart(store, state, at);
          return redeploy(store, state, { launchId, at, cause: 'redeploy', buildId });
        }),
    );

    app.post(
      '/launches/:launchId/rollback',
      {
        config,
        schema: {
          ...say('Go back to an earlier build, by default the one that ran before'),
          body: WhichBuild,
        },
      },
      (request, reply) =>
        ask(request, reply, async ({ state, events }, launchId, at) => {
          const buildId = request.body?.buildId ?? buildBefore(state, events);
          if (buildId === undefined) throw new Refusal('launch/no-earlier-build', { launchId });
          await refuseStart(store, state, at);
          return redeploy(store, state, { launchId, at, cause: 'rollback', buildId });
        }),
    );

    app.post(
      '/launches/:launchId/sleep',
      { config, schema: { ...say('Remove the container until somebody visits'), body: NoBody } },
      (request, reply) =>
        ask(request, reply, ({ state }, launchId, at) => {
          refuseWhileComing(state, launchId);
          const deployment = state.serving?.deployment ?? state.deployments;
          const data = { launchId, at, deployment, reason: 'asked', because: null } as const;
          return { type: 'SleepLaunch', data };
        }),
    );

    app.post(
      '/launches/:launchId/wake',
      { config, schema: { ...say('Start a launch that sleeps, as a visit would'), body: NoBody } },
      (request, reply) =>
        ask(request, reply, async ({ state }, launchId, at) => {
          await refuseStart(store, state, at);
          return { type: 'WakeLaunch', data: { launchId, at } };
        }),
    );

    app.post(
      '/launches/:launchId/extend',
      {
        config,
        schema: {
          ...say('Let it run for so long from now on'),
          body: Type.Optional(HowLong),
        },
      },
      (request, reply) =>
        ask(request, reply, (_present, launchId, at) => {
          const { ttlSeconds = limits.launchTtlSecondsDefault } = request.body ?? {};
          const expiresAt = new Date(Date.parse(at) + ttlSeconds * 1_000).toISOString();
          return { type: 'ExtendLaunch', data: { launchId, at, expiresAt } };
        }),
    );
  };
}

/** Wakes a launch for a visitor, whoever that is. Rejects with Refusal where it is over. */
export function wakerOf(deps: { store: EventStore; clock: Clock }): (launchId: string) => Promise<void> {
  return async launchId => {
    const time = deps.clock.now();
    const correlationId = deps.clock.newId();
    const metadata = { actor: 'visitor', correlationId, causationId: correlationId, time };
    const command = { type: 'WakeLaunch', data: { launchId, at: time } } as const;
    const found = await stateOf(deps.store, launch, launchId);
    if (found !== null) await refuseStart(deps.store, found.state, time);
    await execute(deps.store, launch, launchId, command, metadata);
  };
}

/** Whether a container may follow: the workspace has room for what it writes, and something is left of the quotas. */
async function refuseStart(store: EventStore, state: LaunchState, at: string): Promise<void> {
  await refuseFull(store, state);
  if (state.spec !== null) await refuseUsedUp(store, state.spec.owner, at);
}

type Params = { Params: { launchId: string } };

/** Answers a request with what becomes of the command it stands for. The launch must be there, and the asker's to reach. */
function asker({ store, clock }: LaunchDeps) {
  return async (request: FastifyRequest<Params & object>, reply: FastifyReply, commandOf: Command) => {
    const { launchId } = request.params as Params['Params'];
    const found = await stateOf(store, launch, launchId);
    if (found?.state.appId == null) throw new Refusal('not-found', { launchId });
    requireApp(request.identity, found.state.appId);
    const cause: Cause = causeOf(request, clock);
    const { metadata, once } = cause;
    const before = await outcomeBefore(store, launch, launchId, cause);
    if (before !== undefined) return accepted(reply, launchId, before, `/launches/${launchId}`);
    const present = { ...found, events: found.events as readonly unknown[] as readonly LaunchEvent[] };
    const command = await commandOf(present, launchId, metadata.time);
    const { position } = await execute(store, launch, launchId, command, metadata, { once });
    return accepted(reply, launchId, position, `/launches/${launchId}`);
  };
}

type Asked = {
  readonly launchId: string;
  readonly at: string;
  readonly cause: 'redeploy' | 'rollback';
  readonly buildId: string | undefined;
};

/** A container that is being brought up would be there after all, a moment after somebody was told that there is none. */
function refuseWhileComing({ status, coming }: LaunchState, launchId: string): void {
  if (coming !== null && status !== 'stopping') throw new Refusal('launch/deploying', { launchId, status });
}

async function redeploy(
  store: EventStore,
  { appId, spec }: LaunchState,
  { buildId, ...asked }: Asked,
): Promise<LaunchCommand> {
  const chosen = await imageOf(store, appId ?? '', buildId);
  const port = spec === null ? undefined : await namedPort(store, spec);
  return { type: 'Redeploy', data: { ...asked, ...deploymentOf(chosen, spec?.env ?? [], port) } };
}

/** The port that was named when it was launched, for each of its builds; undefined: it was found, as the next one's will be. */
async function namedPort(store: EventStore, spec: LaunchSpec): Promise<number | undefined> {
  const first = (await stateOf(store, build, spec.buildId))?.state.built;
  if (first == null || spec.port === null) return undefined;
  const found = deploymentOf({ ...first, buildId: spec.buildId }, spec.env).port;
  return found === spec.port ? undefined : spec.port;
}

/** The build that answered last before the present one, going by what has really run. */
function buildBefore({ image }: LaunchState, events: readonly LaunchEvent[]): string | undefined {
  const builds = new Map<number, string>();
  const ran: string[] = [];
  for (const { type, data } of events) {
    if (type === 'LaunchRequested') builds.set(1, data.buildId);
    if (type === 'LaunchDeploymentRequested') builds.set(data.deployment, data.buildId);
    if (type === 'LaunchRunning') ran.push(builds.get(data.deployment) ?? '');
  }
  return ran.findLast(buildId => buildId !== image?.buildId);
}
