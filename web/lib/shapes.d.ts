/** What the API answers, as docs/openapi.json describes it; only what the page uses. */

export type LogEvent = {
  position: string;
  id: string;
  type: string;
  stream: string;
  at: string;
  actor: string;
  correlationId: string;
  causationId: string;
  data: { appId?: string; buildId?: string; launchId?: string } & Record<string, unknown>;
};

export type Identity = {
  subject: string;
  name: string | null;
  kind: string;
  scopes: string[];
  apps: string[] | null;
  expires: string | null;
  credentialId: string | null;
  csrfToken: string | null;
};

export type ApiKey = {
  id: string;
  owner: string;
  name: string;
  scopes: string[];
  apps: string[] | null;
  hint: string;
  createdAt: string;
  expiresAt: string | null;
  rotatedAt: string | null;
  previousUntil: string | null;
  revokedAt: string | null;
  lastSeenAt: string | null;
  lastSeenIp: string | null;
  status: string;
};

export type Session = {
  id: string;
  subject: string;
  name: string;
  how: string;
  openedAt: string;
  expiresAt: string;
  endedAt: string | null;
  endReason: string | null;
  lastSeenAt: string | null;
  lastSeenIp: string | null;
  ip: string | null;
  userAgent: string | null;
  current: boolean;
  status: string;
};

export type AuditRecord = {
  position: string;
  at: string;
  since: string;
  actor: string;
  action: string;
  target: string | null;
  outcome: string;
  status: number | null;
  route: string;
  ip: string;
  userAgent: string;
  correlationId: string;
  count: number;
};

export type Tag = { key: string; value: string; source: string };

export type Build = {
  id: string;
  appId: string;
  commit: string;
  ref: string | null;
  dockerfilePath: string;
  args: Record<string, string>;
  cause: string;
  status: 'queued' | 'running' | 'succeeded' | 'failed' | 'cancelled' | 'superseded';
  attempt: number;
  image: string | null;
  imageId: string | null;
  bytes: number | null;
  ports: number[] | null;
  failure: { reason: string; step: number | null; instruction: string | null } | null;
  supersededBy: { buildId: string; commit: string } | null;
  pushed: { repository: string; digest: string } | null;
  builder: 'classic' | 'buildkit' | null;
  log: { lines: number; bytes: number; truncated: boolean } | null;
  requestedAt: string;
  startedAt: string | null;
  finishedAt: string | null;
  durationMs: number | null;
  /** 1 is begun next. */
  queuePosition: number | null;
  waitingFor: string | null;
};

export type BuildSecret = { name: string; version: number; setBy: string; setAt: string; isGiven: boolean };

export type Provenance = {
  subject: { name: string; digest: Record<string, string> }[];
  predicate: {
    buildDefinition: {
      externalParameters: { repository: string; commit: string; buildArgs: Record<string, string> };
      internalParameters: { platform: string; secrets: { name: string; version: number }[] };
      resolvedDependencies: {
        name?: string;
        uri?: string;
        digest?: Record<string, string>;
        annotations?: Record<string, string>;
      }[];
    };
    runDetails: { builder: { id: string; version: Record<string, string> } };
  };
};

export type App = {
  id: string;
  name: string;
  description: string | null;
  repoUrl: string;
  ref: string | null;
  dockerfilePath: string | null;
  homepage: string | null;
  owner: string | null;
  tags: Tag[];
  status: 'pending' | 'processing' | 'ready' | 'failed' | 'archived';
  statusMessage: string | null;
  title: string | null;
  commit: string | null;
  branch: string | null;
  previews: { kind: string; title: string | null; url: string }[];
  ports: number[];
  build: Build | null;
  release: { buildId: string; image: string; commit: string } | null;
  launch: { running: number };
  sandbox: Sandbox;
  createdAt: string;
  updatedAt: string;
  ingestedAt: string | null;
  ingestion: { run: number; attempt: number; cause: string | null } | null;
};

type Step = {
  status: string;
  attempt: number | null;
  message: string | null;
  commit: string | null;
  durationMs: number | null;
  at: string;
};

export type Ingestion = {
  run: number;
  cause: string;
  status: string;
  attempt: number;
  attemptsMax: number;
  queuedAt: string;
  startedAt: string | null;
  finishedAt: string | null;
  retryAt: string | null;
  commit: string | null;
  branch: string | null;
  message: string | null;
  durations: { cloneMs: number; inspectMs: number; storeMs: number } | null;
  timeline: Step[];
};

export type Sandbox = { egress: string[]; allowRoot: boolean; runtime: string };

export type LaunchFailure = {
  reason: string;
  exitCode: number | null;
  oomKilled: boolean;
  lastLines: string[];
  at: string;
  isLoop: boolean;
};

export type Launch = {
  id: string;
  appId: string;
  buildId: string;
  image: string;
  status:
    | 'requested'
    | 'starting'
    | 'running'
    | 'asleep'
    | 'waking'
    | 'restarting'
    | 'stopping'
    | 'stopped'
    | 'expired'
    | 'failed';
  url: string;
  env: { key: string; value: string }[];
  resourceProfile: string;
  access: 'private' | 'public';
  port: number | null;
  startedInMs: number | null;
  owner: string;
  access: 'private' | 'public';
  restart: 'no' | 'on-failure';
  idleSeconds: number | null;
  healthPath: string | null;
  sandbox: Sandbox;
  deployment: number;
  serving: number | null;
  failure: LaunchFailure | null;
  because: string | null;
  sleepReason: string | null;
  requestedAt: string;
  runningAt: string | null;
  sleptAt: string | null;
  endedAt: string | null;
  expiresAt: string;
  waitingFor: string | null;
};

export type UsageSample = { at: string; cpus: number; memoryBytes: number };

export type ContainerUsage = {
  deployment: number;
  readAt: string;
  cpus: number | null;
  cpusMax: number;
  memoryBytes: number;
  memoryBytesMax: number;
  processes: number;
  processesMax: number;
  recent: UsageSample[];
};

type UsageSums = { cpuSeconds: number; memoryMbHours: number };

export type LaunchUsage = UsageSums & { containers: ContainerUsage[] };

export type Quota = {
  owner: string | null;
  resource: keyof UsageSums;
  used: number | null;
  max: number;
  freeAt: string | null;
};

export type Usage = UsageSums & {
  period: { from: string; until: string };
  quotas: Quota[];
  apps: ({ appId: string } & UsageSums)[];
  days: ({ day: string } & UsageSums)[];
  owners: ({ owner: string } & UsageSums)[];
};

export type Deployment = {
  deployment: number;
  cause: 'start' | 'redeploy' | 'rollback' | 'wake' | 'restart';
  status: 'coming' | 'serving' | 'retiring' | 'gone';
  buildId: string;
  image: string;
  commit: string | null;
  imageRemoved: string | null;
  engine: string | null;
  startedInMs: number | null;
  failure: LaunchFailure | null;
  requestedAt: string;
  notBefore: string | null;
  runningAt: string | null;
  goneAt: string | null;
};

export type LaunchOptions = {
  profiles: { name: string; memoryBytes: number; cpus: number }[];
  idleSeconds: { min: number; max: number; default: number | null };
  ttlSeconds: { min: number; max: number; default: number };
};

export type HostName = {
  host: string;
  appId: string;
  launchId: string | null;
  url: string;
  claimedAt: string;
};

export type HistoryEvent = {
  position: string;
  type: string;
  stream: string;
  at: string;
  actor: string;
  correlationId: string;
  causationId: string;
  eventId: string;
  data: Record<string, unknown>;
};

export type CauseNode = {
  position: string;
  eventId: string;
  type: string;
  stream: string;
  appId: string;
  at: string;
  actor: string;
  causationId: string;
  depth: number;
};

export type Causes = {
  event: CauseNode;
  correlationId: string;
  command: string | null;
  causes: CauseNode[];
  effects: CauseNode[];
  others: number;
  isCut: boolean;
};

export type WhyField = {
  field: string;
  value: unknown;
  event: {
    position: string;
    type: string;
    at: string;
    actor: string;
    command: string | null;
    cause: { position: string; type: string; actor: string } | null;
  };
};

export type Facets = {
  tags: { key: string; value: string; count: number }[];
  statuses: { value: string; count: number }[];
  owners: { value: string; count: number }[];
};

export type AppPage = {
  data: App[];
  meta: { total: { count: number; exact: boolean }; nextCursor: string | null; facets: Facets; sort: string };
};

export type Suggestion = { type: 'key' | 'pair'; value: string; label: string; count: number };

export type Health = {
  status: 'ready' | 'degraded' | 'unready';
  checks?: Record<string, { ok: boolean; reason?: string }>;
  projections?: { name: string; position: string | null; lagEvents: number; lagSeconds: number }[];
};

export type Workspace = {
  id: string;
  appId: string;
  name: string;
  owner: string;
  status: string;
  bytes: number | null;
  bytesMax: number;
  level: 'fits' | 'nearly' | 'full';
  paths: string[];
  launchId: string | null;
  source: { workspaceId: string; snapshotId: string } | null;
  failure: string | null;
  snapshots: number;
  requestedAt: string;
  waitingFor: string | null;
};

export type Snapshot = {
  id: string;
  status: string;
  live: boolean;
  contentBytes: number | null;
  entries: number | null;
  pausedMs: number | null;
  reason: string | null;
  requestedAt: string;
};
