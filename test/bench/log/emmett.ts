/** Emmett's PostgreSQL event store, as its package comes, on a PostgreSQL that waits for its disk. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { batchEvents, eventData, type System } from './system.ts';

const liveEvents = 12;
const pullBatch = 1_000;
const lateMsMax = 10_000;

type Event = { readonly type: string; readonly data: object };
type Message = { readonly data: { readonly sent?: number } };
type Consumer = {
  reactor(options: {
    processorId: string;
    startFrom: 'BEGINNING' | 'END';
    eachMessage(message: Message): void;
  }): unknown;
  start(): Promise<unknown>;
  close(): Promise<unknown>;
};
/** As much of the package as is used: it is not installed when types are checked. */
type Emmett = {
  getPostgreSQLEventStore(url: string): {
    appendToStream(stream: string, events: readonly Event[]): Promise<unknown>;
    readStream(stream: string): Promise<{ readonly events: readonly unknown[] }>;
    schema: { migrate(): Promise<unknown> };
    close(): Promise<unknown>;
  };
  postgreSQLEventStoreConsumer(options: {
    connectionString: string;
    pulling: { batchSize: number };
    stopWhen?: { noMessagesLeft: boolean };
  }): Consumer;
};

/** Installs the package beside the benchmarks where it is not there yet. */
async function load(): Promise<Emmett> {
  const folder = path.join(import.meta.dirname, '..');
  const entry = path.join(folder, 'node_modules/@event-driven-io/emmett-postgresql/dist/index.js');
  if (!existsSync(entry)) execFileSync('npm', ['ci', '--ignore-scripts'], { cwd: folder, stdio: 'inherit' });
  return (await import(pathToFileURL(entry).href)) as Emmett;
}

export async function openEmmett(url: string, run: string): Promise<System> {
  const emmett = await load();
  const store = emmett.getPostgreSQLEventStore(url);
  await store.schema.migrate();
  const event = (sent?: number): Event => ({
    type: 'Measured',
    data: sent === undefined ? eventData : { ...eventData, sent },
  });
  const long = `long-${run}`;
  const consumer = (isLive: boolean) =>
    emmett.postgreSQLEventStoreConsumer({
      connectionString: url,
      pulling: { batchSize: pullBatch },
      ...(isLive ? {} : { stopWhen: { noMessagesLeft: true } }),
    });
  let consumers = 0;
  return {
    name: 'Emmett on PostgreSQL',
    single: writer => store.appendToStream(`single-${run}-${writer}`, [event()]),
    batch: writer =>
      store.appendToStream(
        `${long}-${writer}`,
        Array.from({ length: batchEvents }, () => event()),
      ),
    async catchUp() {
      let events = 0;
      const reading = consumer(false);
      reading.reactor({
        processorId: `catch-up-${run}-${consumers++}`,
        startFrom: 'BEGINNING',
        eachMessage: () => {
          events += 1;
        },
      });
      await reading.start();
      await reading.close();
      return events;
    },
    readStream: async () => (await store.readStream(`${long}-0`)).events.length,
    async liveMs() {
      const took: number[] = [];
      const sent = new Set<number>();
      const waiting = consumer(true);
      waiting.reactor({
        processorId: `live-${run}-${consumers++}`,
        startFrom: 'END',
        eachMessage: ({ data }) => {
          if (data.sent !== undefined && sent.has(data.sent)) took.push(performance.now() - data.sent);
        },
      });
      const running = waiting.start();
      await pause(1_000);
      for (let n = 0; n < liveEvents; n += 1) {
        const from = performance.now();
        sent.add(from);
        await store.appendToStream(`live-${run}`, [event(from)]);
        const late = performance.now() + lateMsMax;
        while (took.length <= n && performance.now() < late) await pause(2);
        await pause(100 + n * 20);
      }
      await waiting.close();
      await running;
      return took;
    },
    close: () => store.close(),
  };
}
