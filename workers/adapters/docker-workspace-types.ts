/** What the workers ask of an engine about workspaces. */
import type { Readable } from 'node:stream';
import type { WorkspaceVolume } from '../../domain/apps/workspace-state.ts';
import type { StartContainerRequest } from './docker-types.ts';

/** A set of volumes: those that hold the content of a workspace between two restores. */
export type WorkspaceSet = {
  readonly workspaceId: string;
  readonly generation: number;
};

/** A set as the log knows it: where it is, and what it is made of. */
type KnownSet = WorkspaceSet & {
  /** Null: nowhere yet. */
  readonly engine: string | null;
  readonly volumes: readonly WorkspaceVolume[];
};

type MadeSet = { readonly engine: string; readonly volumes: WorkspaceVolume[] };

export type PrepareRequest = {
  readonly set: KnownSet;
  /** Of the container that is to have it. */
  readonly container: StartContainerRequest;
  /** How many workspaces of the app may have volumes on the engine. */
  readonly perAppMax: number;
};

export type UnpackRequest = {
  readonly set: WorkspaceSet & { readonly engine: string | null };
  readonly appId: string;
  /** Of the event that asks for it. */
  readonly eventId: string;
  readonly paths: readonly string[];
  readonly perAppMax: number;
};

export type FoundVolume = WorkspaceSet & {
  readonly name: string;
  readonly appId: string;
  readonly engine: string;
};

export type Weight = WorkspaceSet & { readonly bytes: number };

/** It cannot be done, and will not be possible a moment later either. */
export class WorkspaceFailure extends Error {
  override readonly name = 'WorkspaceFailure';
}

export type Workspaces = {
  /**
   * Makes the volumes that a container needs and the set does not have yet, with what the image brings along for them, owned by
   * whom the container runs as. Volumes of which the log does not know are of an attempt that was cut off, and made anew.
   * Answers all that the image declares. Throws LaunchFailure where it declares none, or one that the log knows is gone.
   */
  prepare(request: PrepareRequest): Promise<MadeSet>;
  /** What the set holds, as one tar: a folder for each volume, named by its path. Owners, modes, links and times are kept. */
  pack(set: KnownSet, signal: AbortSignal): AsyncIterable<Buffer>;
  /** Puts such a tar into volumes of its own, which are there afterwards and hold nothing else. */
  unpack(request: UnpackRequest, tar: Readable, signal: AbortSignal): Promise<MadeSet>;
  /**
   * Lets the deployment's container stand still, where it runs. Answers in what state the container is then: while that stays
   * the same, it has not written anything.
   */
  freeze(launchId: string, deployment: number): Promise<string>;
  stateOf(launchId: string, deployment: number): Promise<string>;
  /** Lets it go on, where it stands still. */
  thaw(launchId: string, deployment: number): Promise<void>;
  /** Containers of launches that stand still. */
  frozen(): Promise<readonly { readonly launchId: string; readonly deployment: number }[]>;
  /** What each set holds. The engine reads every folder of all its volumes for it. */
  weigh(): Promise<readonly Weight[]>;
  list(): Promise<readonly FoundVolume[]>;
  /** Removes these volumes, and what was left behind of work with their workspaces. */
  remove(volumes: readonly FoundVolume[]): Promise<void>;
};
