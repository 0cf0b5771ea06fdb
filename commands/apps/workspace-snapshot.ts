/** Snapshots of workspaces: taken, put back, and removed. */
import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox';
import { Accepted, causeOf, NoBody } from '../request.ts';
import { asker, type WorkspaceDeps, WorkspaceParams } from './workspace.ts';

const config = { scope: 'apps:launch' } as const;
const tags = ['workspaces'];
const response = { 202: Accepted };
const snapshotId = Type.String({ format: 'uuid' });

export function snapshotCommands(deps: WorkspaceDeps): FastifyPluginAsyncTypebox {
  const ask = asker(deps);

  return async app => {
    app.post(
      '/workspaces/:workspaceId/snapshots',
      {
        config,
        schema: {
          tags,
          summary: 'Take a snapshot: a copy of what the workspace holds, as it is at one moment',
          params: WorkspaceParams,
          body: Type.Optional(
            Type.Object(
              {
                live: Type.Optional(
                  Type.Boolean({
                    description:
                      'A running container goes on meanwhile, and files may be torn. Default: it stands still while it is read',
                  }),
                ),
              },
              { additionalProperties: false },
            ),
          ),
          response,
        },
      },
      (request, reply) => {
        const { live = false } = request.body ?? {};
        const id = causeOf(request, deps.clock).newId();
        const place = `/workspaces/${request.params.workspaceId}/snapshots`;
        const data = { snapshotId: id, live, cloneId: null };
        return ask(request, reply, of => ({ type: 'RequestSnapshot', data: { ...of, ...data } }), {
          id,
          place,
        });
      },
    );

    app.delete(
      '/workspaces/:workspaceId/snapshots/:snapshotId',
      {
        config,
        schema: {
          tags,
          summary: 'Remove a snapshot',
          params: Type.Object({ ...WorkspaceParams.properties, snapshotId }),
          body: NoBody,
          response,
        },
      },
      (request, reply) =>
        ask(request, reply, of => ({
          type: 'RemoveSnapshot',
          data: { ...of, snapshotId: request.params.snapshotId },
        })),
    );

    app.post(
      '/workspaces/:workspaceId/restore',
      {
        config,
        schema: {
          tags,
          summary: 'Put a snapshot back, in the place of what the workspace holds; no container may have it',
          params: WorkspaceParams,
          body: Type.Object({ snapshotId }, { additionalProperties: false }),
          response,
        },
      },
      (request, reply) =>
        ask(request, reply, of => ({
          type: 'RestoreWorkspace',
          data: { ...of, snapshotId: request.body.snapshotId },
        })),
    );
  };
}
