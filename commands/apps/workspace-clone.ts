/** A workspace with the content of another one, as it is now or as it was when a snapshot was taken. */
import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox';
import { workspace } from '../../domain/apps/workspace.ts';
import { refuseBusy, refuseTooLarge } from '../../domain/apps/workspace-copy.ts';
import type { WorkspaceSource, WorkspaceState } from '../../domain/apps/workspace-state.ts';
import { Refusal } from '../../domain/kernel/refusal.ts';
import { deriveId } from '../derive-id.ts';
import { outcomeBefore } from '../execute.ts';
import { Accepted, accepted, causeOf } from '../request.ts';
import { presentApp } from './present-app.ts';
import {
  bytesMax,
  create,
  name,
  placeOf,
  presentWorkspace,
  refuseUnusable,
  type WorkspaceDeps,
  WorkspaceParams,
} from './workspace.ts';

export function cloneCommands(deps: WorkspaceDeps): FastifyPluginAsyncTypebox {
  const { store, clock } = deps;

  return async app => {
    app.post(
      '/workspaces/:workspaceId/clone',
      {
        config: { scope: 'apps:launch' },
        schema: {
          tags: ['workspaces'],
          summary: 'Make another workspace with the same content, or with that of a snapshot',
          params: WorkspaceParams,
          body: Type.Object(
            {
              name,
              snapshotId: Type.Optional(Type.String({ format: 'uuid' })),
              bytesMax: Type.Optional(bytesMax),
            },
            { additionalProperties: false },
          ),
          response: { 202: Accepted },
        },
      },
      async (request, reply) => {
        refuseUnusable(request.body, deps);
        const source = request.params.workspaceId;
        const state = await presentWorkspace(store, source, request);
        const cause = causeOf(request, clock);
        const cloneId = cause.newId();
        const before = await outcomeBefore(store, workspace, cloneId, cause);
        if (before !== undefined) return accepted(reply, cloneId, before, placeOf(cloneId));
        const { name: called, bytesMax: room = state.bytesMax } = request.body;
        const from = sourceOf(source, state, request.body.snapshotId, room, cloneId);
        const { appId } = state;
        await presentApp(store, appId);
        return create(store, reply, cause, {
          workspaceId: cloneId,
          appId,
          name: called,
          bytesMax: room,
          source: from,
        });
      },
    );
  };
}

/** The snapshot a clone is to be filled from: one that is named and taken, or one that is taken for it. */
function sourceOf(
  workspaceId: string,
  state: WorkspaceState,
  wanted: string | undefined,
  room: number,
  cloneId: string,
): WorkspaceSource {
  if (state.status !== 'present') throw new Refusal('workspace/removed', { workspaceId });
  if (wanted === undefined) {
    if (state.engine === null) throw new Refusal('workspace/empty', { workspaceId });
    refuseBusy(state, workspaceId);
    return { workspaceId, snapshotId: deriveId('snapshot', cloneId), isNew: true };
  }
  const found = Object.hasOwn(state.snapshots, wanted) ? state.snapshots[wanted] : undefined;
  if (found?.status !== 'taken' || found.content === null)
    throw new Refusal('not-found', { snapshotId: wanted });
  refuseTooLarge(found.content.contentBytes, { bytesMax: room }, workspaceId);
  return { workspaceId, snapshotId: wanted, isNew: false };
}
