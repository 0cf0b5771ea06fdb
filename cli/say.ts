/** One line for an event of the log: what happened, in the words of the platform's people. */
import type { LogEvent } from './api.ts';
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

const phrases: Readonly<Record<string, Phrase>> = {
  RepositoryRegistered: data => `registered from ${text(data.repoUrl)}`,
  RepositoryChanged: data => `changed ${Object.keys((data.changes ?? {}) as Data).join(', ')}`,
  RepositoryTagged: data => `tagged ${tag(data)}`,
  RepositoryUntagged: data => `tag ${tag(data)} removed`,
  RepositoryReleased: data => `released ${text((data.release as Data | undefined)?.image)}`,
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
  LaunchStarting: data => `starting on port ${text(data.port)}`,
  LaunchRunning: data => `running after ${ms(data.startedInMs)}`,
  LaunchStopping: data => (data.reason === 'expired' ? 'time is up, stopping' : 'stopping'),
  LaunchStopped: () => 'stopped',
  LaunchExpired: () => 'expired',
  LaunchFailed: data => `failed: ${text(data.reason)}`,
  ApiKeyCreated: data => `API key ${text(data.name)} of ${text(data.owner)} made`,
  ApiKeyRotated: data => `API key of ${text(data.owner)} rotated`,
  ApiKeyRevoked: data => `API key of ${text(data.owner)} revoked`,
  SessionOpened: data => `${text(data.subject)} signed in (${text(data.how)})`,
  SessionEnded: data => `session of ${text(data.subject)} over (${text(data.reason)})`,
  AttemptsRefused: data =>
    `${text(data.actor)} refused ${text(data.count)}×: ${text(data.method)} ${text(data.route)} (${text(data.outcome)})`,
};

/** A type that is not known here yet is shown by its name and data. */
export function sayEvent({ type, data }: Pick<LogEvent, 'type' | 'data'>): string {
  return plain(phrases[type]?.(data) ?? `${type} ${JSON.stringify(data)}`);
}

/** `14:03:12  ready at 1a2b…`: for following one thing. */
export function progressLine(out: Output, event: Pick<LogEvent, 'type' | 'data' | 'at'>): string {
  const bad = /Failed$/.test(event.type);
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
