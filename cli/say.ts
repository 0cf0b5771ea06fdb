/** One line for an event of the log: what happened, in the words of the platform's people. */
import type { EventType } from '../domain/events.ts';
import type { LogEvent, Sandbox } from './api.ts';
import { duration, plain, relative, shortCommit, size } from './format.ts';
import type { Output } from './output.ts';

type Data = Record<string, unknown>;
type Phrase = (data: Data) => string;

const text = (value: unknown) =>
  typeof value === 'string' ? value : value == null ? '' : JSON.stringify(value);
const ms = (value: unknown) => (typeof value === 'number' ? duration(value) : '-');
const tag = (data: Data) => {
  const { key, value } = (data.tag ?? {}) as { key?: string; value?: string };
  return `${key}:${value}`;
};
const stages = (data: Data) => {
  const { cloneMs = 0, inspectMs = 0, storeMs = 0 } = (data.durations ?? {}) as Record<string, number>;
  return duration(cloneMs + inspectMs + storeMs);
};
const branch = (data: Data) => (data.branch ? ` of ${text(data.branch)}` : '');
const where = (data: Data) => {
  if (typeof data.step !== 'number') return '';
  return ` at step ${data.step}${typeof data.instruction === 'string' ? ` (${data.instruction})` : ''}`;
};

/** A launch that has had one container alone needs no numbers. */
const numbered = (data: Data) => `deployment ${text(data.deployment)}`;
const ofDeployment = (data: Data) => (Number(data.deployment ?? 1) > 1 ? `${numbered(data)} ` : '');
const replacing = (data: Data) =>
  data.replaced == null ? '' : `, in place of deployment ${text(data.replaced)}`;
const causeOf = (data: Data) => (data.cause === 'rollback' ? 'roll back' : text(data.cause));
const because = (data: Data) => (data.because ? `: ${text(data.because)}` : '');
/** Of a public key as it is written, `name+id+base64`. */
const keyId = (key: unknown) => text(key).split('+')[1] ?? '-';
const sleepReasons: Readonly<Record<string, string>> = {
  idle: 'nobody visited',
  asked: 'asked to',
  evicted: 'made room',
  quota: 'its quota is used up',
};
const seconds = (value: unknown) => `${Math.round(Number(value) / 100) / 10} s`;
const megabyteHours = (value: unknown) => `${Math.round(Number(value) / 36) / 100} MB-h`;
const quotaOf = ({ owner, resource }: Data) =>
  `the ${resource === 'cpuMs' ? 'CPU' : 'memory'} that ${owner == null ? 'all together' : text(owner)} may use`;
const ended = (data: Data) => {
  const reason = text(data.reason);
  const code = text(data.exitCode);
  return code === '' || reason.includes(`exit code ${code}`) ? reason : `${reason} (exit code ${code})`;
};
const sandboxWords = (data: Data) => {
  const { egress = [], allowRoot, runtime } = (data.sandbox ?? {}) as Partial<Sandbox>;
  const hosts = egress.length === 0 ? 'speaks to nobody' : `speaks to ${egress.join(', ')}`;
  return [
    hosts,
    allowRoot ? 'may be root' : 'never root',
    ...(runtime === 'runsc' ? ['under gVisor'] : []),
  ].join(', ');
};

const paths = (data: Data) =>
  ((data.volumes ?? []) as { path?: string }[]).map(({ path }) => text(path)).join(', ');

/** `app_id=todo, position=42` of a key as JSON. */
export const keyWords = (key: string) =>
  Object.entries(JSON.parse(key) as Record<string, string>)
    .map(([column, value]) => `${column}=${value}`)
    .join(', ');

const divergences = (data: Data) =>
  ((data.divergences ?? []) as Data[])
    .slice(0, 3)
    .map(one => `${text(one.kind)} ${text(one.table)} ${keyWords(text(one.key))}`)
    .join(', ');

/** The compiler says which event lacks its sentence. */
const phrases: { readonly [T in EventType]: Phrase } = {
  RepositoryRegistered: data => `registered from ${text(data.repoUrl)}`,
  RepositoryChanged: data => `changed ${Object.keys((data.changes ?? {}) as Data).join(', ')}`,
  RepositoryTagged: data => `tagged ${tag(data)}`,
  RepositoryUntagged: data => `tag ${tag(data)} removed`,
  RepositoryReleased: data => `released ${text((data.release as Data | undefined)?.image)}`,
  RepositorySandboxChanged: data => `confined anew: ${sandboxWords(data)}`,
  RepositoryArchived: () => 'archived',
  IngestionQueued: data => `ingestion ${text(data.run)} queued (${text(data.cause)})`,
  IngestionDeferred: data => `another ingestion is due afterwards (${text(data.cause)})`,
  IngestionStarted: data => `cloning and inspecting, attempt ${text(data.attempt)}`,
  IngestionAttemptFailed: data =>
    `attempt ${text(data.attempt)} failed: ${text(data.reason)}; next ${relative(text(data.retryAt))}`,
  IngestionFailed: data => `failed after attempt ${text(data.attempt)}: ${text(data.reason)}`,
  IngestionSucceeded: data => `ready at ${shortCommit(text(data.commit))}${branch(data)} in ${stages(data)}`,
  IngestionCancelled: () => 'ingestion cancelled',
  BuildRequested: data => `build of ${shortCommit(text(data.commit))} queued (${text(data.cause)})`,
  BuildStarted: data => `building, attempt ${text(data.attempt)}`,
  BuildSucceeded: data =>
    `built ${text(data.image)} (${size(data.bytes as number | null)}) in ${ms(data.durationMs)}`,
  BuildFailed: data => `build failed${where(data)}: ${text(data.reason)}`,
  BuildCancelled: () => 'build cancelled',
  BuildSuperseded: data =>
    `build given up for that of ${shortCommit(text((data.by as Data | undefined)?.commit))}`,
  BuildArgsSet: data => `build arguments are ${Object.keys((data.args ?? {}) as Data).join(', ') || 'none'}`,
  BuildSecretSet: data => `build secret ${text(data.name)} set, version ${text(data.version)}`,
  BuildSecretRemoved: data => `build secret ${text(data.name)} removed`,
  BuildImageRemoving: data => `image ${text(data.image)} is to go (${text(data.reason)})`,
  BuildImageRemoved: data => `image ${text(data.image)} removed (${text(data.reason)})`,
  BuildImageKept: data => `image ${text(data.image)} kept (${text(data.reason)})`,
  LaunchRequested: data => `launch of ${text(data.image)} requested`,
  LaunchDeploymentRequested: data =>
    `${numbered(data)}: ${causeOf(data)} with ${text(data.image)}${data.notBefore ? `, ${relative(text(data.notBefore))}` : ''}${
      data.superseded == null ? '' : `, in place of deployment ${text(data.superseded)}`
    }`,
  LaunchStarting: data => `${ofDeployment(data)}starting on port ${text(data.port)}`,
  LaunchRunning: data => `${ofDeployment(data)}running after ${ms(data.startedInMs)}${replacing(data)}`,
  LaunchDeploymentFailed: data => `${numbered(data)} did not come up: ${ended(data)}`,
  LaunchCrashed: data => `${numbered(data)} ended by itself: ${ended(data)}`,
  LaunchSlept: data =>
    `fell asleep (${sleepReasons[text(data.reason)] ?? text(data.reason)})${because(data)}`,
  LaunchRetired: data => `${numbered(data)} is gone`,
  LaunchExtended: data => `may run until ${text(data.expiresAt)}`,
  LaunchShared: data => `a link was made, good until ${text(data.expiresAt)}`,
  LaunchLinksRevoked: () => 'no link made so far is good any more',
  LaunchStopping: data =>
    `${data.reason === 'expired' ? 'time is up, stopping' : 'stopping'}${because(data)}`,
  LaunchStopped: () => 'stopped',
  LaunchExpired: () => 'expired',
  LaunchFailed: data =>
    `failed: ${ended(data)}${data.isLoop === true ? ' (again and again, no more tries)' : ''}`,
  HostNameClaimed: data => `${text(data.host)} leads here`,
  HostNameAimed: data =>
    `${text(data.host)} shows ${data.launchId == null ? 'the newest launch that runs' : `launch ${text(data.launchId)}`}`,
  HostNameReleased: data => `${text(data.host)} leads here no more`,
  OrphanRemoved: data =>
    `${text(data.kind)} ${text(data.name)} removed from the engine: ${text(data.reason)}`,
  LaunchUsed: data => {
    const used = `${seconds(data.cpuMs)} of CPU and ${megabyteHours(data.memoryMbSeconds)} of memory`;
    return `${ofDeployment(data)}used ${used} since ${text(data.from)}`;
  },
  QuotaReached: data => `${quotaOf(data)} is used up until ${text(data.until)}`,
  QuotaFreed: data => `${quotaOf(data)} is free again`,
  WorkspaceCreated: data => `workspace ${text(data.name)} made, for ${size(data.bytesMax as number)}`,
  WorkspaceChanged: data => `workspace is ${text(data.name)}, for ${size(data.bytesMax as number)}`,
  WorkspaceAttached: data => `workspace kept for launch ${text(data.launchId)}`,
  WorkspaceDetached: data => `workspace left by launch ${text(data.launchId)}`,
  WorkspaceOpened: data => `workspace opened by deployment ${text(data.deployment)}`,
  WorkspaceAwaited: data =>
    `deployment ${text(data.deployment)} waits for the workspace (${text(data.obstacle)})`,
  WorkspaceClosed: data => `workspace closed by deployment ${text(data.deployment)}`,
  WorkspaceVolumesMade: data => `${paths(data)} kept on engine ${text(data.engine)}`,
  WorkspaceVolumesRemoved: data => `set ${text(data.generation)} of volumes removed`,
  WorkspaceWeighed: data => `workspace holds ${size(data.bytes as number)} (${text(data.level)})`,
  WorkspaceSnapshotRequested: data => `taking snapshot ${text(data.snapshotId)}`,
  WorkspaceSnapshotTaken: data =>
    `snapshot taken: ${text(data.entries)} entries, ${size(data.contentBytes as number)}; stood still for ${ms(data.pausedMs)}`,
  WorkspaceSnapshotFailed: data => `snapshot failed: ${text(data.reason)}`,
  WorkspaceSnapshotRemoving: data => `removing snapshot ${text(data.snapshotId)}`,
  WorkspaceSnapshotRemoved: data => `snapshot ${text(data.snapshotId)} removed`,
  WorkspaceRestoring: data => `putting snapshot ${text(data.snapshotId)} back`,
  WorkspaceRestored: data => `content is that of the snapshot, after ${ms(data.restoredInMs)}`,
  WorkspaceRestoreFailed: data => `putting back failed: ${text(data.reason)}`,
  WorkspaceRemoving: () => 'deleting the workspace',
  WorkspaceRemoved: () => 'workspace deleted',
  ApiKeyCreated: data => `API key ${text(data.name)} of ${text(data.owner)} made`,
  ApiKeyRotated: data => `API key of ${text(data.owner)} rotated`,
  ApiKeyRevoked: data => `API key of ${text(data.owner)} revoked`,
  SessionOpened: data => `${text(data.subject)} signed in (${text(data.how)})`,
  SessionEnded: data => `session of ${text(data.subject)} over (${text(data.reason)})`,
  ProjectionRebuildRequested: data => `tables of ${text(data.projection)} are to be filled anew`,
  ProjectionRollbackRequested: data => `tables of ${text(data.projection)} of before are to be read again`,
  ProjectionDiverged: data =>
    `${text(data.rows)} of the rows of ${text(data.projection)} are not what the log says: ${divergences(data)}`,
  ProjectionRepairRequested: data => `rows of ${text(data.projection)} that diverged are to be made again`,
  ProjectionRepaired: data =>
    `${text(data.projection)} is what the log says again (${text(data.how)}, ${text(data.rows)} rows)`,
  ProjectionShowRequested: data =>
    `new tables of ${text(data.projection)} are to be read: ${text(data.reason)}`,
  DeadLetterFound: data =>
    `${text(data.projection)} cannot apply ${text(data.eventType)} at ${text(data.position)}: ${text(data.error)}`,
  DeadLetterResolved: data =>
    `${text(data.projection)} goes on behind ${text(data.position)}${data.skipped ? ', which was skipped' : ''}`,
  DeadLetterReplayRequested: data =>
    `dead letter ${text(data.position ?? 'of any place')} of ${text(data.projection)} is to be tried again`,
  DeadLetterSkipped: data =>
    `dead letter ${text(data.position)} of ${text(data.projection)} is skipped: ${text(data.reason)}`,
  ProjectionFellBehind: data =>
    `${text(data.projection)} is ${text(data.lagEvents)} events and ${text(data.lagSeconds)} s behind`,
  ProjectionCaughtUp: data => `${text(data.projection)} is no longer behind`,
  ProviderSessionJoined: () => 'a session goes with one at the provider',
  ProviderSessionEnded: () => 'the session at the provider is over',
  AuditTreeBegun: data => `the audit tree is signed as ${text(data.origin)}${because(data)}`,
  AuditKeyRotationRequested: () => 'another key for the audit tree requested',
  AuditKeyRotated: data => `key of the audit tree changed from ${keyId(data.from)} to ${keyId(data.to)}`,
  AuditTreeRestartRequested: data => `new beginning of the audit tree requested${because(data)}`,
  AuditTreeRebuildRequested: () => 'rebuild of the audit tree requested',
  AuditTreeRebuilt: data =>
    `audit tree of ${text(data.size)} events rebuilt: ${data.agrees === true ? 'as it was signed' : 'NOT as it was signed'}`,
  AuditTreeDiverged: data =>
    `the log is not what was signed of ${text(data.size)} events (${text(data.kind)}); it holds up to ${text(data.soundSize)}`,
  AttemptsRefused: data =>
    `${text(data.actor)} refused ${text(data.count)}×: ${text(data.method)} ${text(data.route)} (${text(data.outcome)})`,
};

/** A type that is not known here yet is shown by its name and data. */
export function sayEvent({ type, data }: Pick<LogEvent, 'type' | 'data'>): string {
  const phrase = Object.hasOwn(phrases, type) ? phrases[type as EventType] : undefined;
  return plain(phrase?.(data) ?? `${type} ${JSON.stringify(data)}`);
}

/** `14:03:12  ready at 1a2b…`: for following one thing. */
export function progressLine(out: Output, event: Pick<LogEvent, 'type' | 'data' | 'at'>): string {
  const bad = /(Failed|Crashed)$/.test(event.type);
  const good = /(Succeeded|Running)$/.test(event.type);
  const said = sayEvent(event);
  const shown = bad ? out.paint('red', said) : good ? out.paint('green', said) : said;
  return `${out.paint('dim', clock(event.at))}  ${shown}`;
}

/** The local time of day; NaN-safe, for a stamp that cannot be read is shown as it is. */
export function clock(at: string): string {
  const time = new Date(at);
  return Number.isNaN(time.getTime()) ? at : time.toTimeString().slice(0, 8);
}

/** A number ready to be followed by its noun: `1 app`, `3 apps`. */
export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
