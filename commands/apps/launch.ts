/** Starting and stopping previews. */
import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox';
import { type BuiltImage, build } from '../../domain/apps/build.ts';
import type { DeploymentImage } from '../../domain/apps/deployment.ts';
import { type EnvVariable, launch } from '../../domain/apps/launch.ts';
import * as limits from '../../domain/kernel/limits.ts';
import { Refusal } from '../../domain/kernel/refusal.ts';
import type { EventStore } from '../../eventstore/store.ts';
import { type Identity, requireApp } from '../../platform/auth.ts';
import { invalid } from '../../platform/problem.ts';
import type { Clock } from '../clock.ts';
import { execute, outcomeBefore, stateOf } from '../execute.ts';
import { Accepted, accepted, causeOf, NoBody } from '../request.ts';
import { presentApp } from './present-app.ts';
import { refuseUsedUp } from './quota.ts';
import { attachWorkspace } from './workspace-use.ts';

const scope = 'apps:launch';
const portDefault = 8_080;

const LaunchBody = Type.Object(
  {
    buildId: Type.Optional(Type.String({ format: 'uuid', description: 'Default: the released build' })),
    env: Type.Optional(
      Type.Array(
        Type.Object(
          {
            key: Type.String({ pattern: limits.envKeyPattern }),
            value: Type.String({ maxLength: limits.envValueCharsMax }),
          },
          { additionalProperties: false },
        ),
        { maxItems: limits.launchEnvMax, description: 'Plain configuration, readable in the history' },
      ),
    ),
    resourceProfile: Type.Optional(
      Type.Union([Type.Literal('small'), Type.Literal('medium'), Type.Literal('large')]),
    ),
    ttlSeconds: Type.Optional(
      Type.Integer({ minimum: limits.launchTtlSecondsMin, maximum: limits.launchTtlSecondsMax }),
    ),
    port: Type.Optional(Type.Integer({ minimum: 1, maximum: 65_535 })),
    access: Type.Optional(
      Type.Union([Type.Literal('private'), Type.Literal('public')], {
        description:
          'Who may visit it: those let in by the platform or a link, or everybody. Default: private',
      }),
    ),
    restart: Type.Optional(Type.Union([Type.Literal('no'), Type.Literal('on-failure')])),
    idleSeconds: Type.Optional(
      Type.Union(
        [
          Type.Integer({ minimum: limits.launchIdleSecondsMin, maximum: limits.launchIdleSecondsMax }),
          Type.Null(),
        ],
        { description: 'It sleeps when nobody has visited it for so long; null: never' },
      ),
    ),
    healthPath: Type.Optional(
      Type.String({
        pattern: '^/[!-~]*$',
        maxLength: limits.pathCharsMax,
        description: 'Healthy: answers 2xx or 3xx',
      }),
    ),
    workspaceId: Type.Optional(
      Type.String({ format: 'uuid', description: 'Keeps what the app writes into its volumes' }),
    ),
    overlap: Type.Optional(
      Type.Boolean({
        description:
          'With a workspace: whether a redeploy keeps the old container until the new one is healthy, both writing. Default: no',
      }),
    ),
  },
  { additionalProperties: false },
);

export type LaunchDeps = {
  readonly store: EventStore;
  readonly clock: Clock;
  /** After how long a launch sleeps that says nothing about it; null: never. */
  readonly launchIdleSeconds: number | null;
};

export function launchCommands(deps: LaunchDeps): FastifyPluginAsyncTypebox {
  const { store, clock } = deps;

  return async app => {
    app.post(
      '/apps/:appId/launches',
      {
        config: { scope },
        schema: {
          tags: ['launches'],
          summary: 'Run the app as a sandboxed preview behind an address of its own',
          params: Type.Object({ appId: Type.String({ pattern: limits.appIdPattern }) }),
          body: Type.Optional(LaunchBody),
          response: { 202: Accepted },
        },
      },
      async (request, reply) => {
        const { appId } = request.params;
        const { ttlSeconds, buildId: wanted, ...given } = request.body ?? {};
        const { env = [], resourceProfile = 'small', access = 'private', restart = 'on-failure' } = given;
        const { idleSeconds = deps.launchIdleSeconds, healthPath = null } = given;
        refuseTwice(env);
        const cause = causeOf(request, clock);
        const { metadata, once } = cause;
        const launchId = cause.newId();
        const before = await outcomeBefore(store, launch, launchId, cause);
        if (before !== undefined) return accepted(reply, launchId, before, `/launches/${launchId}`);
        const { release, sandbox } = await presentApp(store, appId);
        const chosen = await imageOf(store, appId, wanted ?? release?.buildId);
        await refuseUsedUp(store, metadata.actor, metadata.time);
        const { workspaceId, overlap = false } = given;
        if (workspaceId !== undefined)
          await attachWorkspace(store, { workspaceId, appId, launchId }, metadata);
        const ttlMs = (ttlSeconds ?? limits.launchTtlSecondsDefault) * 1_000;
        const data = {
          launchId,
          at: metadata.time,
          appId,
          ...deploymentOf(chosen, env, given.port),
          env,
          resourceProfile,
          owner: metadata.actor,
          access,
          restart,
          idleSeconds,
          healthPath,
          sandbox,
          workspace: workspaceId === undefined ? null : { workspaceId, overlap },
          expiresAt: new Date(Date.parse(metadata.time) + ttlMs).toISOString(),
        };
        const command = { type: 'RequestLaunch', data } as const;
        const { position } = await execute(store, launch, launchId, command, metadata, { once });
        return accepted(reply, launchId, position, `/launches/${launchId}`);
      },
    );

    app.post(
      '/launches/:launchId/stop',
      {
        config: { scope },
        schema: {
          tags: ['launches'],
          summary: 'Stop a launch and remove its container',
          params: Type.Object({ launchId: Type.String({ format: 'uuid' }) }),
          body: NoBody,
          response: { 202: Accepted },
        },
      },
      async (request, reply) => {
        const { launchId } = request.params;
        await requireLaunch(store, launchId, request.identity);
        const { metadata, once } = causeOf(request, clock);
        const data = { launchId, reason: 'stopped', because: null, at: metadata.time } as const;
        const { position } = await execute(store, launch, launchId, { type: 'StopLaunch', data }, metadata, {
          once,
        });
        return accepted(reply, launchId, position, `/launches/${launchId}`);
      },
    );
  };
}

/** Rejects with 403 where the launch is of an app that the asker may not reach. */
async function requireLaunch(store: EventStore, launchId: string, identity: Identity): Promise<void> {
  if (identity.apps === null) return;
  const appId = (await stateOf(store, launch, launchId))?.state.appId;
  if (appId != null) requireApp(identity, appId);
}

function refuseTwice(env: readonly EnvVariable[]): void {
  const seen = new Set<string>();
  for (const [place, { key }] of env.entries()) {
    if (seen.has(key)) throw invalid([{ field: `env.${place}.key`, message: `${key} is given twice` }]);
    seen.add(key);
  }
}

/** The image of a build of this app. Refuses where there is none. */
export async function imageOf(
  store: EventStore,
  appId: string,
  buildId: string | undefined,
): Promise<BuiltImage & { buildId: string }> {
  if (buildId === undefined) throw new Refusal('launch/no-image', { appId });
  const found = await stateOf(store, build, buildId);
  if (found?.state.spec?.appId !== appId) throw new Refusal('not-found', { buildId });
  if (found.state.built === null) throw new Refusal('launch/no-image', { appId, buildId });
  if (found.state.image.place !== 'present') {
    throw new Refusal('launch/image-removed', { buildId, reason: found.state.image.reason });
  }
  return { ...found.state.built, buildId };
}

/** What is to run of an image, and where the app in it listens: PORT, as most hosts tell it, else the lowest port it exposes. */
export function deploymentOf(
  { buildId, image, imageId, ports }: BuiltImage & { buildId: string },
  env: readonly EnvVariable[],
  port?: number,
): DeploymentImage {
  const told = Number(env.find(({ key }) => key === 'PORT')?.value);
  const isPort = Number.isInteger(told) && told > 0 && told < 65_536;
  const found = isPort ? told : ports.length > 0 ? Math.min(...ports) : portDefault;
  return { buildId, image, imageId, port: port ?? found };
}
