/** Setting what each build of an app is given: its arguments, and its secrets one at a time. */
import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox';
import { type BuildArgs, checkBuildArgs } from '../../domain/apps/build-args.ts';
import { buildInput } from '../../domain/apps/build-input.ts';
import * as limits from '../../domain/kernel/limits.ts';
import type { EventStore } from '../../eventstore/store.ts';
import type { BuildSecrets } from '../../platform/build-secrets.ts';
import { isMaskable, maskedCharsMin } from '../../platform/mask.ts';
import { invalid } from '../../platform/problem.ts';
import type { Clock } from '../clock.ts';
import { execute, stateOf } from '../execute.ts';
import { Accepted, accepted, causeOf, NoBody, refuseRepeatable } from '../request.ts';
import { presentApp } from './present-app.ts';

const Params = Type.Object({ appId: Type.String({ pattern: limits.appIdPattern }) });
const SecretParams = Type.Object({
  ...Params.properties,
  name: Type.String({ pattern: limits.buildSecretNamePattern }),
});

export const BuildArgsBody = Type.Record(
  Type.String(),
  Type.String({ maxLength: limits.buildArgValueCharsMax }),
  {
    maxProperties: limits.buildArgsMax,
    description:
      'Names and values of ARG instructions. They are no secrets: everybody who sees the app sees them.',
  },
);

/** What such a key stands for is noted by a sum over the body, and from a sum a short secret can be guessed. */
const noted = 'the log would note a sum over the value. To set it twice does no harm';

/** Rejects with the argument that cannot be given. */
export function requireBuildArgs(args: BuildArgs): void {
  const wrong = checkBuildArgs(args);
  if (wrong === undefined) return;
  throw invalid([{ field: wrong.name === '' ? 'args' : `args.${wrong.name}`, message: wrong.problem }]);
}

export type BuildInputDeps = { store: EventStore; clock: Clock; buildSecrets: BuildSecrets };

export function buildInputCommands(deps: BuildInputDeps): FastifyPluginAsyncTypebox {
  const { store, clock, buildSecrets } = deps;
  const tags = ['builds'];

  return async app => {
    app.put(
      '/apps/:appId/build-args',
      {
        config: { scope: 'apps:write' },
        schema: {
          tags,
          summary: 'Set all arguments of the app’s builds from now on; those that are not named are gone',
          params: Params,
          body: Type.Object({ args: BuildArgsBody }, { additionalProperties: false }),
          response: { 202: Accepted },
        },
      },
      async (request, reply) => {
        const { appId } = request.params;
        const { args } = request.body;
        requireBuildArgs(args);
        await presentApp(store, appId);
        const { metadata, once } = causeOf(request, clock);
        const command = { type: 'SetBuildArgs', data: { appId, args, at: metadata.time } } as const;
        const { position } = await execute(store, buildInput, appId, command, metadata, { once });
        return accepted(reply, appId, position, `/apps/${appId}/build-args`);
      },
    );

    app.put(
      '/apps/:appId/build-secrets/:name',
      {
        config: { scope: 'secrets:write', isRepeatable: false },
        schema: {
          tags,
          summary: 'Set a secret that builds of the app’s present source may mount; nobody can read it back',
          params: SecretParams,
          body: Type.Object(
            { value: Type.String({ minLength: 1, maxLength: limits.buildSecretBytesMax }) },
            { additionalProperties: false },
          ),
          response: { 202: Accepted },
        },
      },
      async (request, reply) => {
        const { appId, name } = request.params;
        const { value } = request.body;
        requireUsable(value);
        refuseRepeatable(request, noted);
        const { repoUrl } = (await presentApp(store, appId)).description;
        const before = (await stateOf(store, buildInput, appId))?.state.secrets.get(name)?.key;
        const { metadata } = causeOf(request, clock);
        const key = clock.newId();
        await buildSecrets.keep(key, value, { appId, name });
        const data = { appId, name, key, repoUrl, at: metadata.time };
        const { position } = await execute(
          store,
          buildInput,
          appId,
          { type: 'SetBuildSecret', data },
          metadata,
        );
        if (before != null) await buildSecrets.erase(before);
        return accepted(reply, name, position, `/apps/${appId}/build-secrets`);
      },
    );

    app.delete(
      '/apps/:appId/build-secrets/:name',
      {
        config: { scope: 'secrets:write' },
        schema: {
          tags,
          summary: 'Remove a build secret and erase its value',
          params: SecretParams,
          body: NoBody,
          response: { 202: Accepted },
        },
      },
      async (request, reply) => {
        const { appId, name } = request.params;
        const before = (await stateOf(store, buildInput, appId))?.state.secrets.get(name)?.key;
        const { metadata, once } = causeOf(request, clock);
        const command = { type: 'RemoveBuildSecret', data: { appId, name, at: metadata.time } } as const;
        const { position } = await execute(store, buildInput, appId, command, metadata, { once });
        if (before != null) await buildSecrets.erase(before);
        return accepted(reply, name, position, `/apps/${appId}/build-secrets`);
      },
    );
  };
}

/** A value that could not be masked in what a build prints is none to keep. */
function requireUsable(value: string): void {
  const wrong = value.includes('\0')
    ? 'must not hold a NUL character'
    : Buffer.byteLength(value) > limits.buildSecretBytesMax
      ? `must have at most ${limits.buildSecretBytesMax} bytes`
      : isMaskable(value)
        ? undefined
        : `must have at least ${maskedCharsMin} characters in one line, or it could not be masked in logs`;
  if (wrong !== undefined) throw invalid([{ field: 'value', message: wrong }]);
}
