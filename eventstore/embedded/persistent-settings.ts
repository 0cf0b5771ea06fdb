/** How a persistent subscription is set up: what a client asked for, what is stored of it, and what it means. */
import type { Codec } from './codec.ts';
import type { persistentConfigureRequest } from './codec-persistent.ts';
import type { filterOptions } from './codec-streams.ts';
import { type GroupName, subscriptionFailed } from './persistent-errors.ts';
import { type Filter, filterOf } from './streams-filter.ts';

const strategies = ['DispatchToSingle', 'RoundRobin', 'Pinned', 'PinnedByCorrelation'] as const;
export type StrategyName = (typeof strategies)[number];

/** Of a stream: the revision to begin with. Of $all: the position to begin with. `end`: only what comes. */
export type StartFrom = number | 'start' | 'end';

export type Settings = {
  readonly startFrom: StartFrom;
  readonly resolveLinks: boolean;
  readonly extraStatistics: boolean;
  /** 0: a message may take for ever. */
  readonly messageTimeoutMs: number;
  readonly maxRetryCount: number;
  readonly checkpointAfterMs: number;
  readonly minCheckpointCount: number;
  readonly maxCheckpointCount: number;
  /** 0: any number. */
  readonly maxSubscriberCount: number;
  readonly liveBufferSize: number;
  readonly readBatchSize: number;
  readonly historyBufferSize: number;
  readonly strategy: StrategyName;
  readonly filter: FilterSettings | undefined;
};

type FilterOptions = typeof filterOptions extends Codec<infer T> ? T : never;
/** A filter in a form that can be stored as JSON. */
type FilterSettings = {
  readonly on: 'stream' | 'eventType';
  readonly regex: string;
  readonly prefixes: readonly string[];
  readonly window: number | undefined;
  readonly checkpointInterval: number;
};
type Options = NonNullable<(typeof persistentConfigureRequest extends Codec<infer T> ? T : never)['options']>;
type WireSettings = NonNullable<Options['settings']>;

const ticksPerMs = 10_000;
/** Everything from here on is the end: it is sent as the largest number of 64 bits. */
const endFrom = 2 ** 63;
/** One message of 24 days is late enough; timers know no more. */
const durationMsMax = 2 ** 31 - 1;
const bufferMessagesMax = 10_000;

/** Reads settings off the wire. Throws the failure that clients know. */
export function settingsOf(name: GroupName, options: Options): Settings {
  const { settings } = options;
  if (settings === undefined) throw subscriptionFailed(name, 'A persistent subscription needs settings.');
  const counts = {
    maxRetryCount: settings.maxRetryCount,
    minCheckpointCount: settings.minCheckpointCount,
    maxCheckpointCount: settings.maxCheckpointCount,
    maxSubscriberCount: settings.maxSubscriberCount,
    liveBufferSize: settings.liveBufferSize,
    readBatchSize: settings.readBatchSize,
    historyBufferSize: settings.historyBufferSize,
    messageTimeoutMs: durationMs(settings.messageTimeoutMs, settings.messageTimeoutTicks),
    checkpointAfterMs: durationMs(settings.checkpointAfterMs, settings.checkpointAfterTicks),
  };
  for (const [key, value] of Object.entries(counts)) {
    if (value < 0) throw subscriptionFailed(name, `${key} is ${value}; it must not be negative.`);
  }
  if (counts.maxCheckpointCount > 0 && counts.maxCheckpointCount < counts.minCheckpointCount) {
    throw subscriptionFailed(name, 'maxCheckpointCount must not be less than minCheckpointCount.');
  }
  const filter = filterSettings(options.ofAll?.filter);
  // A filter that makes no sense is refused now, not when the group begins.
  openFilter(filter);
  return {
    ...counts,
    startFrom: startOf(options, settings),
    resolveLinks: settings.resolveLinks,
    extraStatistics: settings.extraStatistics,
    strategy: strategyOf(name, settings),
    filter,
  };
}

function durationMs(ms: number | undefined, ticks: number | undefined): number {
  return Math.min(ms ?? Math.floor((ticks ?? 0) / ticksPerMs), durationMsMax);
}

function strategyOf(name: GroupName, { strategy, strategyName }: WireSettings): StrategyName {
  const wanted = strategyName === '' ? strategies[strategy] : strategyName;
  const known = strategies.find(one => one.toLowerCase() === wanted?.toLowerCase());
  if (known === undefined)
    throw subscriptionFailed(name, `Consumer strategy ${wanted ?? strategy} does not exist.`);
  return known;
}

function startOf({ ofStream, ofAll }: Options, { revision }: WireSettings): StartFrom {
  if (ofAll !== undefined) {
    if (ofAll.position !== undefined) return boundary(ofAll.position.commit);
    return ofAll.end === undefined ? 'start' : 'end';
  }
  if (ofStream?.revision !== undefined) return boundary(ofStream.revision);
  if (ofStream?.start !== undefined) return 'start';
  if (ofStream?.end !== undefined) return 'end';
  return boundary(revision);
}

const boundary = (from: number): StartFrom => (from >= endFrom ? 'end' : from === 0 ? 'start' : from);

function filterSettings(options: FilterOptions | undefined): FilterSettings | undefined {
  const expression = options?.stream ?? options?.eventType;
  if (options === undefined || expression === undefined) return undefined;
  return {
    on: options.stream === undefined ? 'eventType' : 'stream',
    regex: expression.regex,
    prefixes: [...expression.prefixes],
    window: options.window,
    checkpointInterval: options.checkpointInterval,
  };
}

/** Throws InvalidRequest when the expression is none. */
export function openFilter(settings: FilterSettings | undefined): Filter | undefined {
  if (settings === undefined) return undefined;
  const { on, regex, prefixes, window, checkpointInterval } = settings;
  return filterOf({
    stream: undefined,
    eventType: undefined,
    [on]: { regex, prefixes },
    window,
    count: undefined,
    checkpointInterval,
  });
}

/** How many messages may lie waiting in memory. */
export function bufferSizeOf({ historyBufferSize, liveBufferSize, readBatchSize }: Settings): number {
  return Math.min(Math.max(historyBufferSize, liveBufferSize, readBatchSize, 1), bufferMessagesMax);
}

/** As clients read it back: `C:commit/P:prepare` in $all, a number in a stream; -1 is the end. */
export function placeText(isAll: boolean, place: StartFrom): string {
  const number = place === 'start' ? 0 : place === 'end' ? -1 : place;
  return isAll ? `C:${number}/P:${number}` : `${number}`;
}

/** What `placeText` wrote; undefined when it is none. */
export function placeOf(text: unknown): number | undefined {
  const digits = /^(?:C:)?(\d+)(?:\/P:\d+)?$/.exec(String(text))?.[1];
  return digits === undefined ? undefined : Number(digits);
}
