/** The product's own parts for a benchmark: PostgreSQL with the settings it ships with, and the log on disk. */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { openSegmentStorage } from '../../../eventstore/embedded/segment-storage.ts';
import { startLogServer } from '../../../eventstore/embedded/server.ts';
import { startEmbeddedPostgres } from '../../../platform/embedded-postgres.ts';

type Closing = () => Promise<unknown> | unknown;

export type Bench = {
  /** A folder of this run. */
  readonly folder: string;
  /** Ends what was opened, last first, when the benchmark is over, also when it failed. */
  onClose(closing: Closing): void;
};

/** Runs a benchmark in a temporary folder, and leaves nothing of it. */
export async function withBench(run: (bench: Bench) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'apphub-bench-'));
  // As root, PostgreSQL runs as another user, who must be able to get to its files.
  chmodSync(folder, 0o755);
  const closings: Closing[] = [() => rmSync(folder, { recursive: true, force: true })];
  try {
    await run({ folder, onClose: closing => closings.push(closing) });
  } finally {
    for (const closing of closings.reverse()) await closing();
  }
}

export async function openBenchPostgres(bench: Bench): Promise<string> {
  const server = await startEmbeddedPostgres(path.join(bench.folder, 'postgres'));
  bench.onClose(() => server.stop());
  return server.url;
}

/** The embedded log and its server in this process, as `apphub start` has them. `always`: an append is answered after fsync. */
export async function openBenchLog(bench: Bench, durability: 'always' | 'none' = 'always') {
  const log = { info: () => undefined, warn: console.warn, error: console.error };
  const storage = await openSegmentStorage({ directory: path.join(bench.folder, 'log'), durability, log });
  bench.onClose(() => storage.close());
  const server = await startLogServer({ storage, port: 0, log });
  bench.onClose(() => server.close());
  return { storage, url: `esdb://127.0.0.1:${server.port}?tls=false` };
}
