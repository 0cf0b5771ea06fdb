/** Workspaces: made, given more room, and deleted. */
import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { workspace } from '../../domain/apps/workspace.ts';
import type { WorkspaceCommand, WorkspaceSource } from '../../domain/apps/workspace-state.ts';
import * as limits from '../../domain/kernel/limits.ts';
import { checkOneLine } from '../../domain/kernel/one-line.ts';
import { Refusal } from '../../domain/kernel/refusal.ts';
import type { EventStore } from '../../eventstore/store.ts';
import { requireApp } from '../../platform/auth.ts';
import { invalid } from '../../platform/problem.ts';
import type { Clock } from '../clock.ts';
import { execute, outcomeBefore, stateOf } from '../execute.ts';
import { Accepted, accepted, type Cause, causeOf, NoBody } from '../request.ts';
import { presentApp } from './present-app.ts';

const config = { scope: 'apps:launch' } as const;
const tags = ['workspaces'];
const response = { 202: Accepted };

export const name = Type.String({ minLength: 1, maxLength: limits.nameCharsMax });
export const bytesMax = Type.Integer({
  minimum: limits.workspaceBytesMin,
  description: 'How much it may hold; at most APPHUB_WORKSPACE_BYTES_MAX',
});
export const WorkspaceParams = Type.Object({ workspaceId: Type.String({ format: 'uuid' }) });

export type WorkspaceDeps = {
  readonly store: EventStore;
  readonly clock: Clock;
  readonly workspaces: { readonly bytesDefault: number; readonly bytesMax: number };
};

export function workspaceCommands(deps: WorkspaceDeps): FastifyPluginAsyncTypebox {
  const { store, clock } = deps;
  const ask = asker(deps);

  return async app => {
    app.post(
      '/apps/:appId/workspaces',
      {
        config,
        schema: {
          tags,
          summary: 'Make a workspace: what launches of the app write into their volumes is kept there',
          params: Type.Object({ appId: Type.String({ pattern: limits.appIdPattern }) }),
          body: Type.Object({ name, bytesMax: Type.Optional(bytesMax) }, { additionalProperties: false }),
          response,
        },
      },
      async (request, reply) => {
        const { appId } = request.params;
        refuseUnusable(request.body, deps);
        const cause = causeOf(request, clock);
        const workspaceId = cause.newId();
        const before = await outcomeBefore(store, workspace, workspaceId, cause);
        if (before !== undefined) return accepted(reply, workspaceId, before, placeOf(workspaceId));
        await presentApp(store, appId);
        const { name: called, bytesMax: room = deps.workspaces.bytesDefault } = request.body;
        return create(store, reply, cause, {
          workspaceId,
          appId,
          name: called,
          bytesMax: room,
          source: null,
        });
      },
    );

    app.patch(
      '/workspaces/:workspaceId',
      {
        config: { scope: 'apps:write' },
        schema: {
          tags,
          summary: 'Give a workspace another name, or let it hold another amount',
          params: WorkspaceParams,
          body: Type.Object(
            { name: Type.Optional(name), bytesMax: Type.Optional(bytesMax) },
            { additionalProperties: false },
          ),
          response,
        },
      },
      (request, reply) => {
        refuseUnusable(request.body, deps);
        const { name: called, bytesMax: room } = request.body;
        const changes = {
          ...(called === undefined ? {} : { name: called }),
          ...(room === undefined ? {} : { bytesMax: room }),
        };
        return ask(request, reply, of => ({ type: 'ChangeWorkspace', data: { ...of, ...changes } }));
      },
    );

    app.delete(
      '/workspaces/:workspaceId',
      {
        config,
        schema: {
          tags,
          summary: 'Delete a workspace, what it holds, and its snapshots',
          params: WorkspaceParams,
          body: NoBody,
          response,
        },
      },
      (request, reply) => ask(request, reply, of => ({ type: 'RemoveWorkspace', data: of })),
    );
  };
}

export const placeOf = (workspaceId: string) => `/workspaces/${workspaceId}`;

type New = {
  workspaceId: string;
  appId: string;
  name: string;
  bytesMax: number;
  source: WorkspaceSource | null;
};

export async function create(store: EventStore, reply: FastifyReply, { metadata, once }: Cause, made: New) {
  const data = { ...made, at: metadata.time, owner: metadata.actor };
  const command = { type: 'CreateWorkspace', data } as const;
  const { workspaceId } = made;
  const { position } = await execute(store, workspace, workspaceId, command, metadata, { once });
  return accepted(reply, workspaceId, position, placeOf(workspaceId));
}

type Of = { workspaceId: string; at: string };
type Params = { Params: { workspaceId: string } };

/** The workspace must be there, and of an app that the asker may reach. */
export async function presentWorkspace(store: EventStore, workspaceId: string, { identity }: FastifyRequest) {
  const state = (await stateOf(store, workspace, workspaceId))?.state;
  if (state?.appId == null) throw new Refusal('not-found', { workspaceId });
  const { appId } = state;
  requireApp(identity, appId);
  return { ...state, appId };
}

/** Answers a request with what becomes of the command it stands for. */
export function asker({ store, clock }: Pick<WorkspaceDeps, 'store' | 'clock'>) {
  return async (
    request: FastifyRequest<Params & object>,
    reply: FastifyReply,
    commandOf: (of: Of, cause: Cause) => WorkspaceCommand,
    answer: { id?: string; place?: string } = {},
  ) => {
    const { workspaceId } = request.params as Params['Params'];
    await presentWorkspace(store, workspaceId, request as FastifyRequest);
    const cause = causeOf(request, clock);
    const { metadata, once } = cause;
    const command = commandOf({ workspaceId, at: metadata.time }, cause);
    const { position } = await execute(store, workspace, workspaceId, command, metadata, { once });
    return accepted(reply, answer.id ?? workspaceId, position, answer.place ?? placeOf(workspaceId));
  };
}

type Given = { name?: string | undefined; bytesMax?: number | undefined };

export function refuseUnusable({ name: called, bytesMax: room }: Given, { workspaces }: WorkspaceDeps): void {
  const errors: { field: string; message: string }[] = [];
  const message = called === undefined ? undefined : checkOneLine(called);
  if (message !== undefined) errors.push({ field: 'name', message });
  if (room !== undefined && room > workspaces.bytesMax) {
    errors.push({ field: 'bytesMax', message: `must be at most ${workspaces.bytesMax}` });
  }
  if (errors.length > 0) throw invalid(errors);
}
