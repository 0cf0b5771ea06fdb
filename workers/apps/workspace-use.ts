/** A container and its workspace: it is opened before the container is made, and closed once the container is gone. */
import type { Knex } from 'knex';
import { execute, stateOf } from '../../commands/execute.ts';
import type { LaunchSpec, LaunchState } from '../../domain/apps/launch.ts';
import { workspace } from '../../domain/apps/workspace.ts';
import type { WorkspaceCommand, WorkspaceState } from '../../domain/apps/workspace-state.ts';
import type { Recorded } from '../../domain/events.ts';
import { faultPoint } from '../../platform/fault.ts';
import type { Objects } from '../../platform/objects.ts';
import type { Docker, StartContainerRequest } from '../adapters/docker-types.ts';
import { attempt, causedBy, type Send } from '../effect.ts';

export type UseDeps = Send & {
  readonly docker: Docker;
  readonly workspaces: { readonly perAppMax: number };
};

export type WorkspaceDeps = UseDeps & {
  readonly sql: Knex;
  readonly objects: Objects;
  readonly workDir: string;
};

type Coming = {
  readonly launchId: string;
  readonly spec: Pick<LaunchSpec, 'appId' | 'workspace'>;
  readonly deployment: { readonly deployment: number };
  readonly intent: Recorded;
};

/**
 * Gives the workspace to a container that is to be made. False: something is in the way, and the deployment waits; the event that
 * clears the way sets it going. Rejects with Refusal where it can never have it.
 */
export async function openWorkspace(deps: Send, coming: Coming): Promise<boolean> {
  const { launchId, spec, intent } = coming;
  if (spec.workspace === null) return true;
  const { workspaceId, overlap } = spec.workspace;
  const { deployment } = coming.deployment;
  const data = { workspaceId, appId: spec.appId, launchId, deployment, overlap, at: deps.clock.now() };
  const command = { type: 'OpenWorkspace', data } as const;
  const { state } = await execute(deps.store, workspace, workspaceId, command, causedBy(intent, deps.clock));
  faultPoint('workspace.opened');
  return state.open.includes(deployment);
}

/** The volumes the container is to have, made and told where they are new. Told first: what nobody knows of holds nothing. */
export async function volumesFor(
  deps: UseDeps,
  { spec, intent }: Coming,
  container: StartContainerRequest,
): Promise<Pick<StartContainerRequest, 'volumes' | 'engine'>> {
  if (spec.workspace === null) return {};
  const { workspaceId } = spec.workspace;
  const state = await presentState(deps, workspaceId);
  const { generation, engine, volumes: known } = state;
  const set = { workspaceId, generation, engine, volumes: known };
  const made = await deps.docker.workspaces.prepare({ set, container, perAppMax: deps.workspaces.perAppMax });
  faultPoint('workspace.prepared');
  const data = { workspaceId, generation, ...made, at: deps.clock.now() };
  const command = { type: 'RecordVolumes', data } as const;
  await execute(deps.store, workspace, workspaceId, command, causedBy(intent, deps.clock));
  faultPoint('workspace.told');
  return made;
}

async function presentState({ store }: Send, workspaceId: string): Promise<WorkspaceState> {
  const found = await stateOf(store, workspace, workspaceId);
  if (found === null) throw new Error(`there is no workspace ${workspaceId}`);
  return found.state;
}

/** The container is gone, so it writes no more. */
export async function closeWorkspace(
  deps: Send,
  { spec }: Pick<LaunchState, 'spec'>,
  { launchId, deployment }: { launchId: string; deployment: number },
  cause: Recorded,
): Promise<void> {
  if (spec?.workspace == null) return;
  const { workspaceId } = spec.workspace;
  const data = { workspaceId, launchId, deployment, at: deps.clock.now() };
  await tell(deps, workspaceId, { type: 'CloseWorkspace', data }, cause);
  faultPoint('workspace.closed');
}

/** The launch is over and everything of it is gone: another one may have its workspace. */
export async function leaveWorkspace(
  deps: Send,
  { spec }: Pick<LaunchState, 'spec'>,
  launchId: string,
  cause: Recorded,
): Promise<void> {
  if (spec?.workspace == null) return;
  const { workspaceId } = spec.workspace;
  const data = { workspaceId, launchId, at: deps.clock.now() };
  await tell(deps, workspaceId, { type: 'DetachWorkspace', data }, cause);
  faultPoint('workspace.left');
}

/** One that was never made, or is gone by now, wants to hear nothing. */
async function tell(
  deps: Send,
  workspaceId: string,
  command: WorkspaceCommand,
  cause: Recorded,
): Promise<void> {
  await attempt(deps, workspace, workspaceId, command, causedBy(cause, deps.clock), ['not-found']);
}

/** Whether two containers of the launch may not live side by side: then the old one has no time to drain. */
export const isAlone = ({ spec }: Pick<LaunchState, 'spec'>): boolean => spec?.workspace?.overlap === false;
