/** A log of ten million events beside one of a hundred thousand: the same appends, reads and restarts on both. */
import { randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import path from 'node:path';
import { openSegmentStorage } from '../../../eventstore/embedded/segment-storage.ts';
import type { NewRecord } from '../../../eventstore/embedded/storage.ts';
import { printGoal, printTable, timed } from '../support/figures.ts';
import { openLean } from './lean.ts';
import { startServerProcess } from './server-process.ts';
import { eventData, rate } from './system.ts';

const sizes = [100_000, 10_000_000] as const;
const eventsPerAppend = 10;
const appendsAtOnce = 512;
const eventsPerStream = 50;
const rounds = 3;
const measureMs = 3_000;
const readEvents = 200_000;
const streamReads = 2_000;

type Cost = {
  readonly appends: number;
  readonly allEvents: number;
  readonly streamReads: number;
  readonly openMs: number;
  readonly openRssBytes: number;
  readonly rssBytes: number;
};

export async function compareSizes(folder: string): Promise<void> {
  const costs: Cost[] = [];
  const fills: number[] = [];
  for (const events of sizes) {
    const directory = path.join(folder, `of-${events}`);
    fills.push((events * 1_000) / (await timed(() => fill(directory, events))));
    costs.push(await costOf(directory, events));
    rmSync(directory, { recursive: true });
  }
  const whole = (value: number) => Math.round(value).toLocaleString('en');
  const mb = (bytes: number) => `${(bytes / 1e6).toFixed(0)} MB`;
  const row = (name: string, of: (cost: Cost) => string) => [name, ...costs.map(of)];
  printTable([
    ['events in the log', ...sizes.map(size => size.toLocaleString('en'))],
    ['filled, events a second', ...fills.map(whole)],
    row('appends a second, 32 in flight, durable', cost => whole(cost.appends)),
    row('$all, events a second', cost => whole(cost.allEvents)),
    row(`streams of ${eventsPerStream}, reads a second`, cost => whole(cost.streamReads)),
    row('opened in', cost => `${cost.openMs.toFixed(0)} ms`),
    row('memory when opened', cost => mb(cost.openRssBytes)),
    row('memory after all this', cost => mb(cost.rssBytes)),
  ]);
  const [small, large] = costs;
  if (small === undefined || large === undefined) return;
  printGoal(large.appends >= 0.8 * small.appends, 'appends at ten million within 20 % of a hundred thousand');
  printGoal(large.allEvents >= 0.8 * small.allEvents, '$all at ten million within 20 %');
  printGoal(large.streamReads >= 0.8 * small.streamReads, 'streams at ten million within 20 %');
  printGoal(large.openMs < 1_000, 'opened in less than a second');
  printGoal(large.rssBytes < 300e6, 'memory below 300 MB');
}

/** Streams of `eventsPerStream` events each, a few hundred of them growing at the same time. */
async function fill(directory: string, events: number): Promise<void> {
  const storage = await openSegmentStorage({ directory, durability: 'none' });
  const data = Buffer.from(JSON.stringify(eventData));
  const metadata = Buffer.alloc(0);
  const record = (): NewRecord => ({
    id: randomUUID(),
    type: 'Measured',
    contentType: 'application/json',
    data,
    metadata,
  });
  const streams = Math.ceil(events / eventsPerStream);
  for (let first = 0; first < streams; first += appendsAtOnce) {
    const count = Math.min(appendsAtOnce, streams - first);
    for (let revision = 0; revision < eventsPerStream; revision += eventsPerAppend) {
      const appends = Array.from({ length: count }, (_, n) =>
        storage.append(nameOf(first + n), revision, Array.from({ length: eventsPerAppend }, record)),
      );
      await Promise.all(appends);
    }
  }
  await storage.close();
}

const nameOf = (stream: number) => `scale.thing-${stream}`;

async function costOf(directory: string, events: number): Promise<Cost> {
  const server = await startServerProcess(directory);
  try {
    const lean = await openLean(server.port, '0');
    await rate(32, measureMs / 3, lean.single);
    const best = { appends: 0, allEvents: 0, streamReads: 0 };
    for (let round = 0; round < rounds; round += 1) {
      best.appends = Math.max(best.appends, await rate(32, measureMs, lean.single));
      best.allEvents = Math.max(best.allEvents, await lean.readAll(0, Math.min(readEvents, events)));
      const readAny = () => lean.readAny(nameOf(Math.floor(Math.random() * (events / eventsPerStream))));
      let left = streamReads;
      const ms = await timed(() =>
        Promise.all(
          Array.from({ length: 8 }, async () => {
            while (left-- > 0) await readAny();
          }),
        ),
      );
      best.streamReads = Math.max(best.streamReads, (streamReads * 1_000) / ms);
    }
    await lean.close();
    const { openMs, openRssBytes } = server;
    return { ...best, openMs, openRssBytes, rssBytes: await server.rssBytes() };
  } finally {
    await server.stop();
  }
}
