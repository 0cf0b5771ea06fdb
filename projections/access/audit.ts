/**
 * Who did what, and who was refused: a row for each event that somebody asked for over HTTP, and for each refusal. What the
 * platform does by itself is not in here.
 */
import type { ApiKeyEvent } from '../../domain/access/api-key.ts';
import type { AttemptEvent } from '../../domain/access/attempt.ts';
import type { AuditTreeEvent } from '../../domain/access/audit-tree.ts';
import type { SessionEvent } from '../../domain/access/session.ts';
import type { BuildEvent } from '../../domain/apps/build.ts';
import type { HostNameEvent } from '../../domain/apps/host-name.ts';
import type { LaunchEvent } from '../../domain/apps/launch.ts';
import type { WorkspaceEvent } from '../../domain/apps/workspace-state.ts';
import type { AppsEvent, EventType, PlatformEvent, Recorded } from '../../domain/events.ts';
import type { DeadLetterEvent } from '../../domain/platform/dead-letter.ts';
import type { ProjectionEvent } from '../../domain/platform/projection.ts';
import { type Op, type Projection, put } from '../projection.ts';

const table = 'access_audit';

const ofApp = (event: Recorded<AppsEvent>) => asked(event, `apps/${event.data.appId}`, event.data.appId);
const ofBuild = (event: Recorded<BuildEvent>) =>
  asked(event, `builds/${event.data.buildId}`, event.data.appId);
const ofLaunch = (event: Recorded<LaunchEvent>) =>
  asked(event, `launches/${event.data.launchId}`, event.data.appId);
const ofHost = (event: Recorded<HostNameEvent>) => asked(event, `hosts/${event.data.host}`, event.data.appId);
const ofProjection = (event: Recorded<ProjectionEvent | DeadLetterEvent>) =>
  asked(event, `projections/${event.data.projection}`, null);
const ofWorkspace = (event: Recorded<WorkspaceEvent>) =>
  asked(event, `workspaces/${event.data.workspaceId}`, event.data.appId);
const ofKey = (event: Recorded<ApiKeyEvent>) => asked(event, `api-keys/${event.data.keyId}`, null);
const ofTree = (event: Recorded<AuditTreeEvent>) => asked(event, 'audit-tree', null);
const ofSession = (event: Recorded<SessionEvent>) => asked(event, `sessions/${event.data.sessionId}`, null);

function asked(event: Recorded, target: string, appId: string | null): readonly Op[] {
  const { actor, correlationId, time, request } = event.metadata;
  if (request === undefined) return [];
  return [
    put(table, {
      position: event.position.toString(),
      at: time,
      since: time,
      actor,
      action: event.type,
      target,
      app_id: appId,
      outcome: 'succeeded',
      status: null,
      route: request.route,
      ip: request.ip,
      user_agent: request.userAgent,
      correlation_id: correlationId,
      count: 1,
    }),
  ];
}

function refused({ data, position }: Recorded<AttemptEvent>): readonly Op[] {
  const { actor, outcome, status, target, ip, count, since, at } = data;
  const route = `${data.method} ${data.route}`;
  return [
    put(table, {
      position: position.toString(),
      at,
      since,
      actor,
      action: route,
      target,
      app_id: target?.startsWith('apps/') === true ? target.slice('apps/'.length) : null,
      outcome,
      status,
      route,
      ip,
      user_agent: data.userAgent,
      correlation_id: data.correlationId,
      count,
    }),
  ];
}

/** A new type of event is added here, or the compiler says so. */
const on: {
  readonly [T in EventType]: (event: Recorded<Extract<PlatformEvent, { type: T }>>) => readonly Op[];
} = {
  RepositoryRegistered: ofApp,
  RepositoryChanged: ofApp,
  RepositoryTagged: ofApp,
  RepositoryUntagged: ofApp,
  RepositorySandboxChanged: ofApp,
  RepositoryReleased: ofApp,
  RepositoryArchived: ofApp,
  IngestionQueued: ofApp,
  IngestionDeferred: ofApp,
  IngestionStarted: ofApp,
  IngestionAttemptFailed: ofApp,
  IngestionFailed: ofApp,
  IngestionSucceeded: ofApp,
  IngestionCancelled: ofApp,
  BuildRequested: ofBuild,
  BuildStarted: ofBuild,
  BuildSucceeded: ofBuild,
  BuildFailed: ofBuild,
  BuildCancelled: ofBuild,
  BuildSuperseded: ofBuild,
  BuildImageRemoving: ofBuild,
  BuildImageRemoved: ofBuild,
  BuildImageKept: ofBuild,
  BuildArgsSet: ofApp,
  BuildSecretSet: ofApp,
  BuildSecretRemoved: ofApp,
  LaunchRequested: ofLaunch,
  LaunchDeploymentRequested: ofLaunch,
  LaunchStarting: ofLaunch,
  LaunchRunning: ofLaunch,
  LaunchDeploymentFailed: ofLaunch,
  LaunchCrashed: ofLaunch,
  LaunchSlept: ofLaunch,
  LaunchRetired: ofLaunch,
  LaunchExtended: ofLaunch,
  LaunchShared: ofLaunch,
  LaunchLinksRevoked: ofLaunch,
  LaunchStopping: ofLaunch,
  LaunchStopped: ofLaunch,
  LaunchExpired: ofLaunch,
  LaunchFailed: ofLaunch,
  HostNameClaimed: ofHost,
  HostNameAimed: ofHost,
  HostNameReleased: ofHost,
  ProjectionRebuildRequested: ofProjection,
  ProjectionRollbackRequested: ofProjection,
  ProjectionRepairRequested: ofProjection,
  // Nobody asks for it.
  ProjectionDiverged: () => [],
  ProjectionRepaired: () => [],
  ProjectionShowRequested: ofProjection,
  DeadLetterReplayRequested: ofProjection,
  DeadLetterSkipped: ofProjection,
  WorkspaceCreated: ofWorkspace,
  WorkspaceChanged: ofWorkspace,
  WorkspaceAttached: ofWorkspace,
  WorkspaceDetached: ofWorkspace,
  WorkspaceOpened: ofWorkspace,
  WorkspaceAwaited: ofWorkspace,
  WorkspaceClosed: ofWorkspace,
  WorkspaceVolumesMade: ofWorkspace,
  WorkspaceVolumesRemoved: ofWorkspace,
  WorkspaceWeighed: ofWorkspace,
  WorkspaceSnapshotRequested: ofWorkspace,
  WorkspaceSnapshotTaken: ofWorkspace,
  WorkspaceSnapshotFailed: ofWorkspace,
  WorkspaceSnapshotRemoving: ofWorkspace,
  WorkspaceSnapshotRemoved: ofWorkspace,
  WorkspaceRestoring: ofWorkspace,
  WorkspaceRestored: ofWorkspace,
  WorkspaceRestoreFailed: ofWorkspace,
  WorkspaceRemoving: ofWorkspace,
  WorkspaceRemoved: ofWorkspace,
  // Nobody asks for it.
  OrphanRemoved: () => [],
  LaunchUsed: () => [],
  QuotaReached: () => [],
  QuotaFreed: () => [],
  DeadLetterFound: () => [],
  DeadLetterResolved: () => [],
  ProjectionFellBehind: () => [],
  ProjectionCaughtUp: () => [],
  ApiKeyCreated: ofKey,
  ApiKeyRotated: ofKey,
  ApiKeyRevoked: ofKey,
  SessionOpened: ofSession,
  SessionEnded: ofSession,
  // What comes of them here is told by the sessions themselves.
  ProviderSessionJoined: () => [],
  ProviderSessionEnded: () => [],
  AuditTreeBegun: ofTree,
  AuditKeyRotationRequested: ofTree,
  AuditKeyRotated: ofTree,
  AuditTreeRestartRequested: ofTree,
  AuditTreeRebuildRequested: ofTree,
  AuditTreeRebuilt: ofTree,
  AuditTreeDiverged: ofTree,
  AttemptsRefused: refused,
};

/**
 * Newest first is by time, then position. Each filter has an index that ends with that order, so a page costs its rows; the
 * operator class lets the same index find beginnings (`team-%`), whatever the collation of the database.
 */
const filters = ['actor', 'action', 'target', 'outcome', 'app_id'];

export const audit: Projection = {
  name: table,
  version: 1,
  tables: { [table]: ['position'] },
  isWrittenOnce: true,
  createTables: schema =>
    filters.reduce(
      (made, column) => made.raw(`create index on ${table} (${column} text_pattern_ops, at, position)`),
      schema
        .createTable(table, t => {
          t.bigInteger('position').primary();
          t.timestamp('at').notNullable();
          t.timestamp('since').notNullable();
          t.text('actor').notNullable();
          t.text('action').notNullable();
          t.text('target');
          /** The app it has to do with, for those who may see nothing of others. */
          t.text('app_id');
          t.text('outcome').notNullable();
          t.integer('status');
          t.text('route').notNullable();
          t.text('ip').notNullable();
          t.text('user_agent').notNullable();
          t.text('correlation_id').notNullable();
          t.bigInteger('count').notNullable();
          t.index(['at', 'position']);
        })
        .raw(`create index on ${table} (at, position) where outcome <> 'succeeded'`),
    ),
  on,
};
