/** The store over EventStoreDB's client: against the server of our own, with its records in memory and on disk. */
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { memoryStorage } from '../../eventstore/embedded/memory-storage.ts';
import { openSegmentStorage } from '../../eventstore/embedded/segment-storage.ts';
import { startLogServer } from '../../eventstore/embedded/server.ts';
import type { Storage } from '../../eventstore/embedded/storage.ts';
import { openLog } from '../../eventstore/esdb.ts';
import { storeContract } from '../contract/store.ts';

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
