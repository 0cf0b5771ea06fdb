/** What a persistent subscription tells of itself. */
import type { persistentInfoResponse } from './codec-persistent.ts';
import type { Consumer } from './persistent-consumer.ts';
import type { Group } from './persistent-group.ts';
import { bufferSizeOf, placeText } from './persistent-settings.ts';

type Info = NonNullable<Parameters<typeof persistentInfoResponse.encode>[0]['info']>;

export async function infoOf(group: Group): Promise<Info> {
  await group.open();
  const { name, settings, source, messages, consumers } = group;
  const end = source.end();
  const isLive = group.live || group.cursor >= end;
  const waiting = messages.waiting.length;
  const inFlight = consumers.reduce((sum, one) => sum + one.inFlight.size, 0);
  const place = (at: number | undefined) => (at === undefined || at < 0 ? '' : placeText(source.isAll, at));
  return {
    source: name.stream,
    group: name.group,
    status: isLive ? 'Live' : 'Behind',
    connections: consumers.map(consumer => connectionOf(consumer, settings.extraStatistics)),
    averagePerSecond: perSecond(group.settled, group.sinceMs),
    totalItems: group.settled,
    countSinceLastMeasurement: group.sinceMeasured(),
    lastCheckpoint: place(group.progress.checkpoint),
    lastKnown: end === source.beginning ? '' : place(end),
    resolveLinks: settings.resolveLinks,
    startFrom: placeText(source.isAll, settings.startFrom),
    messageTimeoutMs: settings.messageTimeoutMs,
    extraStatistics: settings.extraStatistics,
    maxRetryCount: settings.maxRetryCount,
    liveBufferSize: settings.liveBufferSize,
    historyBufferSize: settings.historyBufferSize,
    readBatchSize: settings.readBatchSize,
    checkpointAfterMs: settings.checkpointAfterMs,
    minCheckpointCount: settings.minCheckpointCount,
    maxCheckpointCount: settings.maxCheckpointCount,
    maxSubscriberCount: settings.maxSubscriberCount,
    strategy: settings.strategy,
    readBuffered: isLive ? 0 : Math.min(waiting, bufferSizeOf(settings)),
    liveBuffered: isLive ? waiting : 0,
    retryBuffered: messages.retrying,
    inFlight,
    outstanding: messages.size,
    parked: await group.parkedCount(),
  };
}

function perSecond(count: number, sinceMs: number): number {
  return Math.round((count * 1_000) / Math.max(1_000, Date.now() - sinceMs));
}

type Connection = NonNullable<Info['connections']>[number];

function connectionOf(consumer: Consumer, extraStatistics: boolean): Connection {
  const { answered, inFlight, slots } = consumer;
  const countSinceLastMeasurement = answered.count - consumer.atMeasurement;
  consumer.atMeasurement = answered.count;
  return {
    from: consumer.from,
    user: consumer.user,
    averagePerSecond: perSecond(answered.count, consumer.sinceMs),
    totalItems: answered.count,
    countSinceLastMeasurement,
    measurements: extraStatistics ? measurements(answered.recentMs) : [],
    availableSlots: slots - inFlight.size,
    inFlight: inFlight.size,
    connectionName: consumer.connectionName,
  };
}

const quantiles: readonly (readonly [string, number])[] = [
  ['Fastest', 0],
  ['Quintile 1', 0.2],
  ['Quintile 2', 0.4],
  ['Median', 0.5],
  ['Quintile 3', 0.6],
  ['Quintile 4', 0.8],
  ['Quintile 5', 1],
  ['90%', 0.9],
  ['95%', 0.95],
  ['99%', 0.99],
  ['99.5%', 0.995],
  ['99.9%', 0.999],
  ['Highest', 1],
];

/** How long the newest messages took, in milliseconds. */
function measurements(tookMs: readonly number[]) {
  const sorted = [...tookMs].sort((a, b) => a - b);
  const at = (part: number) => sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? 0;
  const mean = sorted.reduce((sum, one) => sum + one, 0) / Math.max(1, sorted.length);
  return [
    { key: 'Mean', value: Math.round(mean) },
    ...quantiles.map(([key, part]) => ({ key, value: at(part) })),
  ];
}
