/** The log through the official client, which encodes and decodes more slowly than the log answers. */
import { randomUUID } from 'node:crypto';
import { END, EventStoreDBClient, jsonEvent, START } from '@eventstore/db-client';
import { batchEvents, eventData, type System } from './system.ts';

const liveEvents = 60;
const liveEveryMs = 30;

export function openOfficial(port: number, run: string): System {
  const client = EventStoreDBClient.connectionString(`esdb://127.0.0.1:${port}?tls=false`);
  const event = () => jsonEvent({ id: randomUUID(), type: 'Measured', data: eventData });
  const long = `official-long-${run}`;
  return {
    name: 'this log, official client',
    single: writer => client.appendToStream(`official-${run}-${writer}`, event()),
    batch: writer => client.appendToStream(`${long}-${writer}`, Array.from({ length: batchEvents }, event)),
    async catchUp() {
      const subscription = client.subscribeToAll({ fromPosition: START });
      let events = 0;
      const isCaughtUp = new Promise<void>(resolve => subscription.once('caughtUp', () => resolve()));
      subscription.on('data', () => {
        events += 1;
      });
      await isCaughtUp;
      await subscription.unsubscribe();
      return events;
    },
    async readStream() {
      let events = 0;
      for await (const _ of client.readStream(`${long}-0`)) events += 1;
      return events;
    },
    async liveMs() {
      const subscription = client.subscribeToAll({ fromPosition: END });
      const sent = new Map<string, number>();
      const took: number[] = [];
      const isLive = new Promise<void>(resolve => subscription.once('caughtUp', () => resolve()));
      subscription.on('data', ({ event: came }) => {
        const from = sent.get(came?.id ?? '');
        if (from !== undefined) took.push(performance.now() - from);
      });
      await isLive;
      for (let n = 0; n < liveEvents; n += 1) {
        const one = event();
        sent.set(one.id, performance.now());
        await client.appendToStream(`official-live-${run}`, one);
        await new Promise(resolve => setTimeout(resolve, liveEveryMs));
      }
      await subscription.unsubscribe();
      return took;
    },
    close: () => client.dispose(),
  };
}
