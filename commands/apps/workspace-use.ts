/** What a launch asks of its workspace before anything is asked of the launch. */
import type { LaunchState } from '../../domain/apps/launch.ts';
import { workspace } from '../../domain/apps/workspace.ts';
import type { Metadata } from '../../domain/events.ts';
import { Refusal } from '../../domain/kernel/refusal.ts';
import type { EventStore } from '../../eventstore/store.ts';
import { execute, stateOf } from '../execute.ts';

type Wanted = { readonly workspaceId: string; readonly appId: string; readonly launchId: string };

/**
 * Keeps a workspace for a launch that is about to be requested. Should the request not come to it, the workers notice that there
 * is no such launch, and free it again.
 */
export async function attachWorkspace(store: EventStore, wanted: Wanted, metadata: Metadata): Promise<void> {
  const command = { type: 'AttachWorkspace', data: { ...wanted, at: metadata.time } } as const;
  await execute(store, workspace, wanted.workspaceId, command, metadata);
}

/** Nobody wakes what would find more in its workspace than that may hold. */
export async function refuseFull(store: EventStore, { spec }: Pick<LaunchState, 'spec'>): Promise<void> {
  if (spec?.workspace == null) return;
  const { workspaceId } = spec.workspace;
  const found = (await stateOf(store, workspace, workspaceId))?.state;
  if (found?.level === 'full') throw new Refusal('workspace/full', { workspaceId, bytesMax: found.bytesMax });
}
