/**
 * The shapes the HTTP API answers with, as far as the command line shows them. Times are RFC 3339, positions
 * decimal.
 */

type Tag = { key: string; value: string; source: string };

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
  commit: string | null;
  branch: string | null;
  previews: { kind: string; title: string | null; url: string }[];
  ports: number[] | null;
  build: Build | null;
  launch: { running: number } | null;
  sandbox: Sandbox;
  createdAt: string;
  updatedAt: string;
  ingestedAt: string | null;
};

export type Ingestion = {
  run: number;
  cause: string;
  status: string;
  attempt: number;
  attemptsMax: number;
  durations: { cloneMs: number; inspectMs: number; storeMs: number } | null;
  message: string | null;
  queuedAt: string;
  finishedAt: string | null;
};

export type Build = {
  id: string;
  appId: string;
  commit: string;
  args: Record<string, string>;
  cause: string;
  status: 'queued' | 'running' | 'succeeded' | 'failed' | 'cancelled' | 'superseded';
  attempt: number;
  image: string | null;
  imageId: string | null;
  bytes: number | null;
  failure: { reason: string; step: number | null; instruction: string | null } | null;
  supersededBy: { buildId: string; commit: string } | null;
  pushed: { repository: string; digest: string } | null;
  builder: string | null;
  log: { lines: number; bytes: number; truncated: boolean } | null;
  requestedAt: string;
  startedAt: string | null;
  finishedAt: string | null;
  durationMs: number | null;
  queuePosition: number | null;
  waitingFor: string | null;
};

export type BuildSecret = { name: string; version: number; setBy: string; setAt: string; isGiven: boolean };

type LaunchStatus =
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

export type LaunchFailure = {
  reason: string;
  exitCode: number | null;
  oomKilled: boolean;
  lastLines: string[];
  at: string;
  isLoop: boolean;
};

export type Sandbox = { egress: string[]; allowRoot: boolean; runtime: string };

export type Deployment = {
  deployment: number;
  cause: string;
  status: 'coming' | 'serving' | 'retiring' | 'gone';
  buildId: string;
  image: string;
  commit: string | null;
  imageRemoved: string | null;
  startedInMs: number | null;
  failure: LaunchFailure | null;
  requestedAt: string;
  notBefore: string | null;
  runningAt: string | null;
  goneAt: string | null;
};

export type Launch = {
  id: string;
  appId: string;
  buildId: string;
  image: string;
  status: LaunchStatus;
  url: string;
  env: { key: string; value: string }[];
  resourceProfile: string;
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

export type Workspace = {
  id: string;
  appId: string;
  name: string;
  owner: string;
  status: 'empty' | 'filling' | 'ready' | 'snapshot' | 'restore' | 'broken' | 'removing';
  bytes: number | null;
  weighedAt: string | null;
  bytesMax: number;
  level: 'fits' | 'nearly' | 'full';
  paths: string[];
  engine: string | null;
  launchId: string | null;
  source: { workspaceId: string; snapshotId: string } | null;
  failure: string | null;
  requestedAt: string;
  restoredAt: string | null;
  waitingFor: string | null;
};

export type Snapshot = {
  id: string;
  status: 'asked' | 'taken' | 'failed' | 'removing';
  live: boolean;
  bytes: number | null;
  contentBytes: number | null;
  entries: number | null;
  pausedMs: number | null;
  reason: string | null;
  requestedAt: string;
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
  lastSeenAt: string | null;
  status: 'active' | 'expired' | 'revoked';
};

export type Session = {
  id: string;
  subject: string;
  name: string;
  openedAt: string;
  lastSeenAt: string | null;
  lastSeenIp: string | null;
  ip: string | null;
  userAgent: string | null;
  status: 'open' | 'idle' | 'expired' | 'ended';
};

export type AuditEntry = {
  position: string;
  at: string;
  actor: string;
  action: string;
  target: string | null;
  outcome: string;
  ip: string;
  count: number;
};

/** An event as the stream sends it. The history names the id `eventId` and says no revision. */
export type LogEvent = {
  position: string;
  id: string;
  type: string;
  stream: string;
  revision?: string | number;
  at: string;
  actor: string;
  correlationId: string;
  causationId: string;
  data: Record<string, unknown>;
};

export type HistoryEntry = Omit<LogEvent, 'id' | 'revision'> & { eventId: string };

export type Frame =
  | { kind: 'event'; event: LogEvent }
  | { kind: 'caughtUp'; position: string | null }
  | { kind: 'heartbeat'; position: string | null; at: string };

export type Meta = {
  total?: { count: number; exact: boolean };
  nextCursor?: string | null;
};

export type One<T> = { data: T };
export type Many<T> = { data: T[]; meta?: Meta };
export type Written = { data: { id: string; position: string | null } };
export type MadeKey = { data: Written['data'] & { key: string } };
