/** Every event of an app, its ingestions, builds and launches, in the order of the log. */
import type { AppsEvent, Recorded } from '../../domain/events.ts';
import { type Op, type Projection, put } from '../projection.ts';

const table = 'apps_history';

function remember(event: Recorded<AppsEvent>): readonly Op[] {
  const { metadata } = event;
  return [
    put(table, {
      app_id: event.data.appId,
      position: event.position.toString(),
      event_id: event.id,
      type: event.type,
      stream: event.stream,
      at: event.created,
      actor: metadata.actor,
      correlation_id: metadata.correlationId,
      causation_id: metadata.causationId,
      data: event.data,
    }),
  ];
}

/** A new type of event of the apps context is added here, or the compiler says so. */
const on: { readonly [T in AppsEvent['type']]: (event: Recorded<AppsEvent>) => readonly Op[] } = {
  RepositoryRegistered: remember,
  RepositoryChanged: remember,
  RepositoryTagged: remember,
  RepositoryUntagged: remember,
  RepositorySandboxChanged: remember,
  RepositoryReleased: remember,
  RepositoryArchived: remember,
  IngestionQueued: remember,
  IngestionDeferred: remember,
  IngestionStarted: remember,
  IngestionAttemptFailed: remember,
  IngestionFailed: remember,
  IngestionSucceeded: remember,
  IngestionCancelled: remember,
  BuildRequested: remember,
  BuildStarted: remember,
  BuildSucceeded: remember,
  BuildFailed: remember,
  BuildCancelled: remember,
  BuildSuperseded: remember,
  BuildImageRemoving: remember,
  BuildImageRemoved: remember,
  BuildImageKept: remember,
  BuildArgsSet: remember,
  BuildSecretSet: remember,
  BuildSecretRemoved: remember,
  LaunchRequested: remember,
  LaunchDeploymentRequested: remember,
  LaunchStarting: remember,
  LaunchRunning: remember,
  LaunchDeploymentFailed: remember,
  LaunchCrashed: remember,
  LaunchSlept: remember,
  LaunchRetired: remember,
  LaunchExtended: remember,
  LaunchShared: remember,
  LaunchLinksRevoked: remember,
  LaunchStopping: remember,
  LaunchStopped: remember,
  LaunchExpired: remember,
  LaunchFailed: remember,
  HostNameClaimed: remember,
  HostNameAimed: remember,
  HostNameReleased: remember,
  WorkspaceCreated: remember,
  WorkspaceChanged: remember,
  WorkspaceAttached: remember,
  WorkspaceDetached: remember,
  WorkspaceOpened: remember,
  WorkspaceAwaited: remember,
  WorkspaceClosed: remember,
  WorkspaceVolumesMade: remember,
  WorkspaceVolumesRemoved: remember,
  WorkspaceWeighed: remember,
  WorkspaceSnapshotRequested: remember,
  WorkspaceSnapshotTaken: remember,
  WorkspaceSnapshotFailed: remember,
  WorkspaceSnapshotRemoving: remember,
  WorkspaceSnapshotRemoved: remember,
  WorkspaceRestoring: remember,
  WorkspaceRestored: remember,
  WorkspaceRestoreFailed: remember,
  WorkspaceRemoving: remember,
  WorkspaceRemoved: remember,
};

export const history: Projection = {
  name: table,
  version: 2,
  tables: { [table]: ['app_id', 'position'] },
  isWrittenOnce: true,
  createTables: schema =>
    schema.createTable(table, t => {
      t.text('app_id').notNullable();
      t.bigInteger('position').notNullable();
      t.primary(['app_id', 'position']);
      t.text('event_id').notNullable();
      t.text('type').notNullable();
      t.text('stream').notNullable();
      t.timestamp('at').notNullable();
      t.text('actor').notNullable();
      t.text('correlation_id').notNullable();
      t.text('causation_id').notNullable();
      t.jsonb('data').notNullable();
      // What led to what.
      t.index('correlation_id');
    }),
  on: on as Projection['on'],
};
