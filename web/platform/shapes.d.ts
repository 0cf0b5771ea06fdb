/** What the API answers about tables. */

/** A set of a projection's tables beside the one that is read. */
export type TablesBeside = {
  generation: number;
  version: number;
  role: string;
  position: string | null;
  problem: string | null;
  startedAt: string;
  events: number | null;
  eventsTotal: number | null;
  eventsPerSecond: number | null;
  secondsLeft: number | null;
};

export type SelfAudit = {
  state: string;
  rows: number;
  wrongRows: number;
  soundUpTo: string | null;
  checkedAt: string | null;
  shadowPosition: string | null;
  repairWanted: boolean;
  repairProblem: string | null;
};

export type ProjectionTables = {
  name: string;
  version: number;
  generation: number;
  position: string | null;
  movedAt: string | null;
  events: number | null;
  lagEvents: number;
  lagSeconds: number;
  deadLetters: number;
  waitingEvents: number;
  /** Why it stands still. */
  problem: string | null;
  beside: TablesBeside[];
  audit: SelfAudit | null;
};

/** An event that a projection cannot apply. */
export type DeadLetter = {
  projection: string;
  isLive: boolean;
  position: string;
  stream: string;
  type: string;
  error: string;
  attempts: number;
  waiting: number;
  needsRebuild: boolean;
  nextTryAt: string | null;
};

export type Divergence = {
  table: string;
  key: string;
  kind: 'changed' | 'missing' | 'extra' | 'unstable';
  columns: string[];
  position: string | null;
  soundUpTo: string | null;
  comparedAt: string;
  foundAt: string;
};
