/** Asking for a build, repeating one, cancelling one. */
import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox';
import { type BuildSpec, build } from '../../domain/apps/build.ts';
import { type BuildArgs, mergeBuildArgs } from '../../domain/apps/build-args.ts';
import { buildInput } from '../../domain/apps/build-input.ts';
import { type IngestionEvent, ingestion } from '../../domain/apps/ingestion.ts';
import { appIdPattern } from '../../domain/kernel/limits.ts';
import { Refusal } from '../../domain/kernel/refusal.ts';
import type { EventStore } from '../../eventstore/store.ts';
import { type Identity, requireApp } from '../../platform/auth.ts';
import type { Clock } from '../clock.ts';
import { execute, outcomeBefore, stateOf } from '../execute.ts';
import { Accepted, accepted, type Cause, causeOf, NoBody } from '../request.ts';
import { BuildArgsBody, requireBuildArgs } from './build-input.ts';
import { presentApp } from './present-app.ts';

const scope = 'apps:write';
const BuildParams = Type.Object({ buildId: Type.String({ format: 'uuid' }) });

export function buildCommands(deps: { store: EventStore; clock: Clock }): FastifyPluginAsyncTypebox {
  const { store, clock } = deps;

  type Wanted = { cause: 'manual' | 'retry'; pinned: boolean };
  const request = async (specOf: () => Promise<BuildSpec>, wanted: Wanted, cause: Cause) => {
    const { metadata, once } = cause;
    const buildId = cause.newId();
    const before = await outcomeBefore(store, build, buildId, cause);
    if (before !== undefined) return { buildId, position: before };
    const spec = await specOf();
    const data = { buildId, ...wanted, at: metadata.time, ...spec };
    const { position } = await execute(store, build, buildId, { type: 'RequestBuild', data }, metadata, {
      once,
    });
    return { buildId, position };
  };

  return async app => {
    app.post(
      '/apps/:appId/builds',
      {
        config: { scope },
        schema: {
          tags: ['builds'],
          summary: 'Build the commit that was ingested last, or another one',
          params: Type.Object({ appId: Type.String({ pattern: appIdPattern }) }),
          body: Type.Optional(
            Type.Object(
              {
                commit: Type.Optional(Type.String({ pattern: '^[0-9a-f]{40}$' })),
                /** Over those that the app declares. */
                args: Type.Optional(BuildArgsBody),
              },
              { additionalProperties: false },
            ),
          ),
          response: { 202: Accepted },
        },
      },
      async (http, reply) => {
        const { appId } = http.params;
        const { commit, args = {} } = http.body ?? {};
        requireBuildArgs(args);
        const spec = () => specOf(store, appId, commit, args);
        const wanted = { cause: 'manual', pinned: commit !== undefined } as const;
        const { buildId, position } = await request(spec, wanted, causeOf(http, clock));
        return accepted(reply, buildId, position, `/builds/${buildId}`);
      },
    );

    app.post(
      '/builds/:buildId/retry',
      {
        config: { scope },
        schema: {
          tags: ['builds'],
          summary: 'Build the same commit once more, as a new build',
          params: BuildParams,
          body: NoBody,
          response: { 202: Accepted },
        },
      },
      async (http, reply) => {
        await requireBuild(store, http.params.buildId, http.identity);
        const spec = () => specOfFinished(store, http.params.buildId);
        const wanted = { cause: 'retry', pinned: true } as const;
        const { buildId, position } = await request(spec, wanted, causeOf(http, clock));
        return accepted(reply, buildId, position, `/builds/${buildId}`);
      },
    );

    app.post(
      '/builds/:buildId/cancel',
      {
        config: { scope },
        schema: {
          tags: ['builds'],
          summary: 'Cancel a build that is queued or running',
          params: BuildParams,
          body: NoBody,
          response: { 202: Accepted },
        },
      },
      async (http, reply) => {
        const { buildId } = http.params;
        await requireBuild(store, buildId, http.identity);
        const { metadata, once } = causeOf(http, clock);
        const command = { type: 'CancelBuild', data: { buildId, at: metadata.time } } as const;
        const { position } = await execute(store, build, buildId, command, metadata, { once });
        return accepted(reply, buildId, position, `/builds/${buildId}`);
      },
    );
  };
}

/** Rejects with 403 where the build is of an app that the asker may not reach. */
async function requireBuild(store: EventStore, buildId: string, identity: Identity): Promise<void> {
  if (identity.apps === null) return;
  const appId = (await stateOf(store, build, buildId))?.state.spec?.appId;
  if (appId !== undefined) requireApp(identity, appId);
}

/** What an ended build was to build, of an app that is still there. */
async function specOfFinished(store: EventStore, buildId: string): Promise<BuildSpec> {
  const before = await stateOf(store, build, buildId);
  if (before?.state.spec == null) throw new Refusal('not-found', { buildId });
  if (before.state.status !== 'finished') throw new Refusal('build/not-finished', { buildId });
  await presentApp(store, before.state.spec.appId);
  return before.state.spec;
}

/** What is to be built: the app's source as it is described now, at the commit asked for or ingested last. */
async function specOf(
  store: EventStore,
  appId: string,
  commit: string | undefined,
  args: BuildArgs,
): Promise<BuildSpec> {
  const { description } = await presentApp(store, appId);
  const declared = (await stateOf(store, buildInput, appId))?.state.args ?? {};
  const ingested = await stateOf(store, ingestion, appId);
  const last = (ingested?.events as readonly IngestionEvent[] | undefined)?.findLast(
    event => event.type === 'IngestionSucceeded',
  );
  if (last === undefined) throw new Refusal('build/no-commit', { appId });
  return {
    appId,
    repoUrl: description.repoUrl,
    ref: description.ref,
    commit: commit ?? last.data.commit,
    dockerfilePath: description.dockerfilePath ?? last.data.inspection.dockerfilePath,
    args: mergeBuildArgs(declared, args),
  };
}
