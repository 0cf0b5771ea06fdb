/** Every event of the platform. A type name is unique; it is storage format and never changes its meaning. */
export type { Json } from './kernel/decider.ts';

import type { ApiKeyEvent } from './access/api-key.ts';
import type { AttemptEvent } from './access/attempt.ts';
import type { AuditTreeEvent } from './access/audit-tree.ts';
import type { ProviderSessionEvent } from './access/provider-session.ts';
import type { SessionEvent } from './access/session.ts';
import type { BuildEvent } from './apps/build.ts';
import type { BuildInputEvent } from './apps/build-input.ts';
import type { EngineEvent } from './apps/engine.ts';
import type { HostNameEvent } from './apps/host-name.ts';
import type { IngestionEvent } from './apps/ingestion.ts';
import type { LaunchEvent } from './apps/launch.ts';
import type { QuotaEvent } from './apps/quota.ts';
import type { RepositoryEvent } from './apps/repository.ts';
import type { UsageEvent } from './apps/usage.ts';
import type { WorkspaceEvent } from './apps/workspace-state.ts';
import type { DeadLetterEvent } from './platform/dead-letter.ts';
import type { ProjectionEvent } from './platform/projection.ts';
import type { ProjectionLagEvent } from './platform/projection-lag.ts';

export type AppsEvent =
  | RepositoryEvent
  | IngestionEvent
  | BuildEvent
  | BuildInputEvent
  | LaunchEvent
  | HostNameEvent
  | WorkspaceEvent;
type AccessEvent = ApiKeyEvent | SessionEvent | ProviderSessionEvent | AttemptEvent | AuditTreeEvent;
/** What launches use is no history of an app: it comes all the time. */
type AccountingEvent = UsageEvent | QuotaEvent;
type TableEvent = ProjectionEvent | DeadLetterEvent | ProjectionLagEvent;
export type PlatformEvent = TableEvent | AppsEvent | EngineEvent | AccountingEvent | AccessEvent;
export type EventType = PlatformEvent['type'];
export type EventOf<T extends EventType> = Extract<PlatformEvent, { type: T }>;

/**
 * Who did it and what led to it. `correlationId` is shared by everything that one request set off; `causationId` is the id
 * of the request or of the event that led to this one directly.
 */
export type Metadata = {
  readonly actor: string;
  readonly correlationId: string;
  readonly causationId: string;
  /** When the command was decided, RFC 3339 in UTC. */
  readonly time: string;
  /** Of what somebody asked for over HTTP; absent where the platform acts by itself. */
  readonly request?: RequestOrigin;
};

export type RequestOrigin = {
  readonly ip: string;
  readonly userAgent: string;
  /** Method and pattern of the address, such as `POST /apps/:appId/launch`. */
  readonly route: string;
};

/** An event as the log keeps it. `position` is its place among all events, `revision` its place in its stream. */
export type Recorded<E = PlatformEvent> = E & {
  readonly id: string;
  readonly stream: string;
  readonly revision: bigint;
  readonly position: bigint;
  /** When the log stored it, RFC 3339 in UTC. */
  readonly created: string;
  readonly metadata: Metadata;
  /**
   * Why it is not in today's shape: its data cannot be lifted, or is no object. `data` is then what was stored, or nothing. Only
   * those who follow the log get such an event; whoever loads its stream fails.
   */
  readonly unreadable?: string;
};

/** The first part of every stream name: what a reader of the whole log subscribes to, leaving system streams out. */
export const everyContext = ['apps.', 'access.', 'platform.'] as const;
