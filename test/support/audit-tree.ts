/** A server whose events are kept in a tree and signed, as the workers do it. */
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { systemClock } from '../../commands/clock.ts';
import { memoryStore } from '../../eventstore/memory.ts';
import { listenTo } from '../../platform/listen.ts';
import { type AuditTreeDeps, keepAuditTree } from '../../workers/access/audit-tree.ts';
import { createWorkerTables } from '../../workers/tables.ts';
import { type ApiOptions, startApi } from './api.ts';
import { testDatabase } from './postgres.ts';
import { eventually } from './workers.ts';

const quiet = { info: () => undefined, warn: () => undefined, error: () => undefined };

/** Receipts come from the tables, as where others keep the tree, unless `nearHeads` is given. */
export async function startAudited(options: ApiOptions = {}, tree: Partial<AuditTreeDeps> = {}) {
  const store = memoryStore();
  const folder = mkdtempSync(path.join(os.tmpdir(), 'apphub-test-audited-'));
  const stop = new AbortController();
  const database = await testDatabase();
  await createWorkerTables(database.sql);
  const api = await startApi({ ...options, store, stored: store, database });
  const running = keepAuditTree({
    sql: database.sql,
    store,
    stored: store,
    clock: systemClock,
    folder,
    origin: 'apphub.example/audit',
    checkpointEvents: 3,
    checkpointSeconds: 3_600,
    listen: (channel, onHeard) => listenTo(database.connectionString, channel, onHeard),
    onPublished: () => undefined,
    log: quiet,
    signal: stop.signal,
    ...(options.nearHeads === undefined ? {} : { near: options.nearHeads }),
    ...tree,
  });
  let apps = 0;
  return {
    api,
    store,
    folder,
    database,
    /** Makes as many events. */
    async register(count: number): Promise<void> {
      for (let n = 0; n < count; n += 1) {
        apps += 1;
        const body = { id: `app-${apps}`, name: 'App', repoUrl: 'https://git.example.org/team/app.git' };
        await api.write('POST', '/apps', body);
      }
    },
    /** The public keys, once there are as many. */
    keys: (count = 1): Promise<string[]> =>
      eventually(async () => {
        const { data } = (await api.ask('GET', '/audit/keys')).body;
        if (data.length !== count) throw new Error(`${data.length} keys`);
        return data.map(({ key }: { key: string }) => key);
      }),
    async close(): Promise<void> {
      stop.abort();
      await running;
      await api.close();
      await database.drop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
