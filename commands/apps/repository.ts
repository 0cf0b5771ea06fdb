/** Registering, changing, tagging and archiving apps. */
import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox';
import { checkDockerfilePath } from '../../domain/apps/dockerfile-path.ts';
import { checkGitRef } from '../../domain/apps/git-ref.ts';
import { checkRepoUrl } from '../../domain/apps/repo-url.ts';
import { type Description, repository } from '../../domain/apps/repository.ts';
import type { Tag } from '../../domain/apps/tag.ts';
import * as limits from '../../domain/kernel/limits.ts';
import { checkOneLine } from '../../domain/kernel/one-line.ts';
import { Refusal } from '../../domain/kernel/refusal.ts';
import type { EventStore } from '../../eventstore/store.ts';
import { requireApp } from '../../platform/auth.ts';
import { type FieldError, invalid, Problem } from '../../platform/problem.ts';
import type { Clock } from '../clock.ts';
import { execute, stateOf } from '../execute.ts';
import { Accepted, accepted, causeOf, NoBody } from '../request.ts';
import { TagBody } from './tag.ts';

export type RepositoryDeps = { store: EventStore; clock: Clock; allowLocalRepositories: boolean };

const nullable = <T extends Parameters<typeof Type.Union>[0][number]>(type: T) =>
  Type.Optional(Type.Union([type, Type.Null()]));

const AppId = Type.String({ pattern: limits.appIdPattern });
const Params = Type.Object({ appId: AppId });

const described = {
  description: nullable(Type.String({ maxLength: limits.descriptionCharsMax })),
  ref: nullable(Type.String({ minLength: 1, maxLength: limits.refCharsMax })),
  dockerfilePath: nullable(Type.String({ minLength: 1, maxLength: limits.pathCharsMax })),
  homepage: nullable(Type.String({ maxLength: limits.urlCharsMax })),
  owner: nullable(Type.String({ minLength: 1, maxLength: limits.ownerCharsMax })),
};
const Name = Type.String({ minLength: 1, maxLength: limits.nameCharsMax });
const RepoUrl = Type.String({ minLength: 1, maxLength: limits.urlCharsMax });

const Registration = Type.Object(
  {
    id: AppId,
    name: Name,
    repoUrl: RepoUrl,
    tags: Type.Optional(Type.Array(TagBody, { maxItems: limits.tagsPerRequestMax })),
    ...described,
  },
  { additionalProperties: false },
);
const Changes = Type.Object(
  { name: Type.Optional(Name), repoUrl: Type.Optional(RepoUrl), ...described },
  { additionalProperties: false, minProperties: 1 },
);

const scope = 'apps:write';

export function repositoryCommands(deps: RepositoryDeps): FastifyPluginAsyncTypebox {
  const { store, clock } = deps;
  const appUrl = (appId: string) => `/apps/${appId}`;

  return async app => {
    app.post(
      '/apps',
      {
        config: { scope },
        schema: {
          tags: ['apps'],
          summary: 'Register an app and queue its first ingestion',
          body: Registration,
          response: { 201: Accepted },
        },
      },
      async (request, reply) => {
        const { id: appId, tags = [], ...given } = request.body;
        requireApp(request.identity, appId);
        refuseUnusable({ ...given, tags }, deps);
        const { metadata, once } = causeOf(request, clock);
        const { name, repoUrl } = given;
        const data = { appId, at: metadata.time, tags, name, repoUrl, ...withNulls(given) };
        try {
          const command = { type: 'RegisterRepository', data } as const;
          const { position } = await execute(store, repository, appId, command, metadata, { once });
          return accepted(reply, appId, position, appUrl(appId), 201);
        } catch (error) {
          throw await withPresent(error, store, appId);
        }
      },
    );

    app.patch(
      '/apps/:appId',
      {
        config: { scope },
        schema: {
          tags: ['apps'],
          summary: 'Change what the owner says of an app; a new address, ref or Dockerfile is ingested anew',
          params: Params,
          body: Changes,
          response: { 202: Accepted },
        },
      },
      async (request, reply) => {
        const { appId } = request.params;
        refuseUnusable(request.body, deps);
        const { metadata, once } = causeOf(request, clock);
        const changes = request.body as Partial<Description>;
        const command = { type: 'ChangeRepository', data: { appId, at: metadata.time, changes } } as const;
        const { position } = await execute(store, repository, appId, command, metadata, { once });
        return accepted(reply, appId, position, appUrl(appId));
      },
    );

    app.delete(
      '/apps/:appId',
      {
        config: { scope },
        schema: {
          tags: ['apps'],
          summary: 'Archive an app: its launches stop, its history stays',
          params: Params,
          body: NoBody,
          response: { 202: Accepted },
        },
      },
      async (request, reply) => {
        const { appId } = request.params;
        const { metadata, once } = causeOf(request, clock);
        const command = { type: 'ArchiveRepository', data: { appId, at: metadata.time } } as const;
        const { position } = await execute(store, repository, appId, command, metadata, { once });
        return accepted(reply, appId, position, appUrl(appId));
      },
    );
  };
}

type Given = {
  name?: string | undefined;
  owner?: string | null | undefined;
  tags?: readonly Tag[];
  repoUrl?: string | undefined;
  ref?: string | null | undefined;
  dockerfilePath?: string | null | undefined;
  homepage?: string | null | undefined;
};

/** What a schema cannot say. All the fields are looked at, so that one answer names every mistake. */
function refuseUnusable(given: Given, deps: RepositoryDeps): void {
  const errors: FieldError[] = [];
  const check = (field: string, problem: string | undefined) => {
    if (problem !== undefined) errors.push({ field, message: problem });
  };
  const { name, repoUrl, ref, dockerfilePath, homepage, owner, tags = [] } = given;
  if (name !== undefined) check('name', checkOneLine(name));
  if (repoUrl !== undefined)
    check('repoUrl', checkRepoUrl(repoUrl, { allowLocal: deps.allowLocalRepositories }));
  if (typeof ref === 'string') check('ref', checkGitRef(ref));
  if (typeof dockerfilePath === 'string') check('dockerfilePath', checkDockerfilePath(dockerfilePath));
  if (typeof homepage === 'string') check('homepage', checkWebUrl(homepage));
  if (typeof owner === 'string') check('owner', checkOneLine(owner));
  for (const [at, tag] of tags.entries()) check(`tags.${at}.value`, checkOneLine(tag.value));
  if (errors.length > 0) throw invalid(errors);
}

function checkWebUrl(text: string): string | undefined {
  const url = URL.parse(text);
  return url !== null && ['http:', 'https:'].includes(url.protocol)
    ? undefined
    : 'must be an http or https URL';
}

/** The event names every field: what is not given is null. */
function withNulls(given: { [Field in keyof typeof described]?: string | null | undefined }) {
  return {
    description: given.description ?? null,
    ref: given.ref ?? null,
    dockerfilePath: given.dockerfilePath ?? null,
    homepage: given.homepage ?? null,
    owner: given.owner ?? null,
  };
}

/** A taken id is answered with what is there, so that the caller can tell a repeat from a clash. */
async function withPresent(error: unknown, store: EventStore, appId: string): Promise<unknown> {
  if (!(error instanceof Refusal) || error.code !== 'already-exists') return error;
  const present = await stateOf(store, repository, appId);
  if (present === null || present.state.status === 'absent') return error;
  const { status, description, tags } = present.state;
  return new Problem(409, error.code, error.message, {
    extra: { data: { id: appId, status, ...description, tags } },
  });
}
