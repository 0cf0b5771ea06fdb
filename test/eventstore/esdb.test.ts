/**
 * The store over EventStoreDB's client: against the server of our own, with its records in memory and on disk, and against a
 * cluster where EVENTSTORE_URL names one.
 */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { memoryStorage } from '../../eventstore/embedded/memory-storage.ts';
import { openSegmentStorage } from '../../eventstore/embedded/segment-storage.ts';
import { startLogServer } from '../../eventstore/embedded/server.ts';
import type { Storage } from '../../eventstore/embedded/storage.ts';
import { openLog } from '../../eventstore/esdb.ts';
import type { EventStore } from '../../eventstore/store.ts';
import { storeContract } from '../contract/eventstore.ts';

async function serve(storage: Storage, cleanUp: () => Promise<void> = async () => undefined) {
  const server = await startLogServer({ storage, port: 0 });
  const { store, close } = openLog(`esdb://127.0.0.1:${server.port}?tls=false`);
  return {
    store,
    async close() {
      await close();
      await server.close();
      await storage.close();
      await cleanUp();
    },
  };
}

storeContract('over the wire, in memory', () => serve(memoryStorage()));

storeContract('over the wire, on disk', async () => {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'apphub-test-log-'));
  const storage = await openSegmentStorage({ directory });
  return serve(storage, () => rm(directory, { recursive: true }));
});

const cluster = process.env.EVENTSTORE_URL;
if (cluster !== undefined) {
  storeContract('over the wire, at EVENTSTORE_URL', async () => {
    const { store, close } = openLog(cluster);
    return { store: within(store, `test-${randomUUID()}.`), close };
  });
}

/** A log that others use, too, as if it were new: every stream's name begins with what no other has. */
function within(store: EventStore, scope: string): EventStore {
  const bare = <E extends { readonly stream: string }>(event: E) => ({
    ...event,
    stream: event.stream.slice(scope.length),
  });
  return {
    async load(stream) {
      const { events, revision } = await store.load(scope + stream);
      return { events: events.map(bare), revision };
    },
    append: (stream, events, expected) => store.append(scope + stream, events, expected),
    async *subscribe(options) {
      const streamPrefixes = options.streamPrefixes.map(prefix => scope + prefix);
      for await (const batch of store.subscribe({ ...options, streamPrefixes })) {
        yield { ...batch, events: batch.events.map(bare) };
      }
    },
  };
}
