/** Events as the log would give them to a projection, without a log. */
import type { EventType, PlatformEvent, Recorded, RequestOrigin } from '../../domain/events.ts';

export const recordedAt = '2026-01-02T03:04:05.000Z';

/** The event at this position: its revision is not meaningful, its ids and times are always the same. */
export function recorded(event: PlatformEvent, position: bigint): Recorded {
  return {
    ...event,
    id: `00000000-0000-4000-8000-${position.toString().padStart(12, '0')}`,
    stream: streamOf(event),
    revision: position - 1n,
    position,
    created: recordedAt,
    metadata: { actor: 'operator:ann', correlationId: 'r1', causationId: 'q1', time: recordedAt },
  } as Recorded;
}

/** The same, as somebody asked for it over HTTP. */
export const asked = (event: Recorded, request: RequestOrigin): Recorded => ({
  ...event,
  metadata: { ...event.metadata, request },
});

function streamOf({ data }: PlatformEvent): string {
  if ('keyId' in data) return `access.api-key-${data.keyId}`;
  if ('providerSessionId' in data && !('subject' in data)) return 'access.provider-session-p1';
  if ('sessionId' in data) return `access.session-${data.sessionId}`;
  return 'appId' in data ? `apps.repository-${data.appId}` : 'access.attempt-a1';
}

const imageOfB1 = {
  buildId: 'b1',
  appId: 'todo',
  image: 'apphub/todo:c1',
  imageId: 'sha256:1',
  bytes: 5_000_000_000,
};
const ofLaunch = (second: string) => ({
  launchId: 'l1',
  appId: 'todo',
  at: `2026-01-01T00:00:${second}.000Z`,
});
const ended = { reason: 'exited', exitCode: 1, oomKilled: false, lastLines: ['oh', 'no'] };

/** One event of each type, all of the app `todo`, in an order that makes sense. The compiler says when one is missing. */
export const sampleEvents: { readonly [T in EventType]: Extract<PlatformEvent, { type: T }>['data'] } = {
  RepositoryRegistered: {
    appId: 'todo',
    at: '2026-01-01T00:00:00.000Z',
    name: 'Todo',
    description: 'A list',
    repoUrl: 'https://git.example/todo.git',
    ref: 'main',
    dockerfilePath: null,
    homepage: null,
    owner: 'ann',
    tags: [{ key: 'language', value: 'node' }],
  },
  RepositoryChanged: {
    appId: 'todo',
    at: '2026-01-01T00:00:01.000Z',
    changes: { name: 'To do', owner: null },
  },
  RepositoryTagged: { appId: 'todo', at: '2026-01-01T00:00:02.000Z', tag: { key: 'a', value: 'b' } },
  RepositoryUntagged: { appId: 'todo', at: '2026-01-01T00:00:03.000Z', tag: { key: 'a', value: 'b' } },
  IngestionQueued: { appId: 'todo', run: 1, cause: 'registered', at: '2026-01-01T00:00:04.000Z' },
  IngestionStarted: { appId: 'todo', run: 1, attempt: 1, at: '2026-01-01T00:00:05.000Z' },
  IngestionDeferred: { appId: 'todo', cause: 'webhook', at: '2026-01-01T00:00:06.000Z' },
  IngestionAttemptFailed: {
    appId: 'todo',
    run: 1,
    attempt: 1,
    reason: 'no network',
    commit: null,
    durations: { cloneMs: 4, inspectMs: 0, storeMs: 0 },
    retryAt: '2026-01-01T00:01:00.000Z',
    at: '2026-01-01T00:00:07.000Z',
  },
  IngestionFailed: {
    appId: 'todo',
    run: 1,
    attempt: 2,
    reason: 'no such branch',
    commit: 'c2',
    durations: { cloneMs: 4, inspectMs: 5, storeMs: 0 },
    durationMs: 9,
    at: '2026-01-01T00:00:08.000Z',
  },
  IngestionSucceeded: {
    appId: 'todo',
    run: 1,
    attempt: 1,
    commit: 'c1',
    branch: 'main',
    inspection: {
      dockerfilePath: 'Dockerfile',
      title: 'Todo "ä"',
      description: null,
      homepage: null,
      tags: [{ key: 'port', value: '80', source: 'auto:dockerfile' }],
      previews: [],
      ports: [80],
      healthcheck: true,
    },
    durations: { cloneMs: 1, inspectMs: 2, storeMs: 3 },
    at: '2026-01-01T00:00:09.000Z',
  },
  IngestionCancelled: { appId: 'todo', run: 1, at: '2026-01-01T00:00:10.000Z' },
  BuildRequested: {
    buildId: 'b1',
    cause: 'ingested',
    at: '2026-01-01T00:00:11.000Z',
    appId: 'todo',
    repoUrl: 'https://git.example/todo.git',
    ref: null,
    commit: 'c1',
    dockerfilePath: 'Dockerfile',
  },
  BuildStarted: { buildId: 'b1', appId: 'todo', attempt: 1, at: '2026-01-01T00:00:12.000Z' },
  BuildSucceeded: {
    buildId: 'b1',
    appId: 'todo',
    attempt: 1,
    durationMs: 1_500,
    log: { lines: 3, bytes: 90, truncated: false },
    at: '2026-01-01T00:00:13.000Z',
    image: 'apphub/todo:c1',
    imageId: 'sha256:1',
    bytes: 5_000_000_000,
    ports: [80, 443],
  },
  BuildFailed: {
    buildId: 'b1',
    appId: 'todo',
    attempt: 1,
    durationMs: 700,
    log: { lines: 2, bytes: 20, truncated: true },
    at: '2026-01-01T00:00:14.000Z',
    reason: 'exit code 1',
    step: 2,
    instruction: 'RUN false',
  },
  BuildCancelled: { buildId: 'b1', appId: 'todo', at: '2026-01-01T00:00:15.000Z' },
  BuildImageRemoving: { ...imageOfB1, reason: 'count', at: '2026-01-01T00:00:15.100Z' },
  BuildImageRemoved: { ...imageOfB1, reason: 'count', at: '2026-01-01T00:00:15.200Z' },
  BuildImageKept: { ...imageOfB1, reason: 'used', at: '2026-01-01T00:00:15.300Z' },
  RepositorySandboxChanged: {
    appId: 'todo',
    at: '2026-01-01T00:00:15.500Z',
    sandbox: { egress: ['api.example.org'], allowRoot: true, runtime: 'default' },
  },
  RepositoryReleased: {
    appId: 'todo',
    at: '2026-01-01T00:00:16.000Z',
    release: {
      buildId: 'b1',
      commit: 'c1',
      image: 'apphub/todo:c1',
      imageId: 'sha256:1',
      ports: [80, 443],
      requestedAt: '2026-01-01T00:00:11.000Z',
    },
  },
  LaunchRequested: {
    launchId: 'l1',
    at: '2026-01-01T00:00:17.000Z',
    appId: 'todo',
    buildId: 'b1',
    image: 'apphub/todo:c1',
    imageId: 'sha256:1',
    env: [{ key: 'A', value: 'b' }],
    resourceProfile: 'small',
    port: null,
    owner: 'operator:ann',
    access: 'private',
    restart: 'on-failure',
    idleSeconds: 1_800,
    healthPath: null,
    sandbox: { egress: [], allowRoot: false, runtime: 'default' },
    expiresAt: '2026-01-01T01:00:00.000Z',
  },
  LaunchStarting: {
    ...ofLaunch('18'),
    deployment: 1,
    containerId: 'k1',
    engine: 'default',
    host: '127.0.0.1',
    hostPort: 40_000,
    port: 80,
    status: 'starting',
  },
  LaunchRunning: {
    ...ofLaunch('19'),
    deployment: 1,
    startedInMs: 850,
    replaced: null,
    serves: {
      buildId: 'b1',
      image: 'apphub/todo:c1',
      imageId: 'sha256:1',
      port: 80,
      containerId: 'k1',
      engine: 'default',
      host: '127.0.0.1',
      hostPort: 40_000,
    },
  },
  LaunchCrashed: { ...ofLaunch('19'), deployment: 1, ...ended },
  LaunchDeploymentRequested: {
    ...ofLaunch('19'),
    deployment: 2,
    cause: 'restart',
    buildId: 'b2',
    image: 'apphub/todo:c2',
    imageId: 'sha256:2',
    port: 80,
    notBefore: '2026-01-01T00:00:20.000Z',
    superseded: null,
    status: 'restarting',
  },
  LaunchDeploymentFailed: { ...ofLaunch('19'), deployment: 2, ...ended, status: 'asleep' },
  LaunchSlept: { ...ofLaunch('19'), deployment: 1, reason: 'idle', because: null },
  LaunchRetired: { ...ofLaunch('19'), deployment: 1 },
  LaunchExtended: { ...ofLaunch('19'), expiresAt: '2026-01-01T02:00:00.000Z' },
  LaunchShared: { ...ofLaunch('19'), linkId: 'k1', expiresAt: '2026-01-01T00:30:00.000Z' },
  LaunchLinksRevoked: { ...ofLaunch('19'), linkEpoch: 1 },
  LaunchStopping: { ...ofLaunch('20'), reason: 'stopped', because: null, coming: null },
  LaunchStopped: ofLaunch('21'),
  LaunchExpired: ofLaunch('22'),
  LaunchFailed: { ...ofLaunch('23'), deployment: 1, ...ended, isLoop: false },
  RepositoryArchived: { appId: 'todo', at: '2026-01-01T00:00:24.000Z' },
  ApiKeyCreated: {
    keyId: 'k1',
    owner: 'ann',
    name: 'nightly',
    scopes: ['apps:read'],
    apps: ['team-*'],
    expiresAt: null,
    sha256: 'aa',
    hint: 'Xy12',
    at: '2026-01-01T00:00:25.000Z',
  },
  ApiKeyRotated: {
    keyId: 'k1',
    owner: 'ann',
    sha256: 'bb',
    hint: 'Zz34',
    previousUntil: '2026-01-01T01:00:00.000Z',
    at: '2026-01-01T00:00:26.000Z',
  },
  ApiKeyRevoked: { keyId: 'k1', owner: 'ann', at: '2026-01-01T00:00:27.000Z' },
  SessionOpened: {
    sessionId: 's1',
    subject: 'oidc:ann',
    name: 'Ann',
    how: 'oidc',
    scopes: ['apps:*'],
    apps: null,
    sha256: 'cc',
    expiresAt: '2026-01-02T00:00:00.000Z',
    idleSeconds: 3_600,
    providerSessionId: null,
    at: '2026-01-01T00:00:28.000Z',
  },
  SessionEnded: {
    sessionId: 's1',
    subject: 'oidc:ann',
    reason: 'signed-out',
    at: '2026-01-01T00:00:29.000Z',
  },
  OrphanRemoved: {
    engine: 'default',
    kind: 'container',
    name: 'k9',
    launchId: 'l9',
    reason: 'The log has no launch of this id.',
    at: '2026-01-01T00:00:24.500Z',
  },
  ProviderSessionJoined: { providerSessionId: 'p1', sessionId: 's1', at: '2026-01-01T00:00:28.000Z' },
  ProviderSessionEnded: { providerSessionId: 'p1', at: '2026-01-01T00:00:29.000Z' },
  AttemptsRefused: {
    actor: 'anonymous',
    outcome: 'unauthorized',
    status: 401,
    method: 'POST',
    route: '/apps',
    target: null,
    ip: '192.0.2.1',
    userAgent: 'curl/8',
    correlationId: 'r9',
    count: 3,
    since: '2026-01-01T00:00:29.000Z',
    at: '2026-01-01T00:00:30.000Z',
  },
};

/** Sample events by type, at the positions 1, 2, 3 … */
export function samples(...types: readonly EventType[]): readonly Recorded[] {
  return types.map((type, at) =>
    recorded({ type, data: sampleEvents[type] } as PlatformEvent, BigInt(at + 1)),
  );
}
