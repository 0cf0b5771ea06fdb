/**
 * The servers of an installation, for what is done beside it on the same machine: those that are named, those of the process that
 * is running, which leaves their addresses in the data directory, or one's own where none is running.
 */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { lockDirectory } from '../eventstore/embedded/lock.ts';
import type { Config } from '../platform/config.ts';
import type { Log } from '../platform/log.ts';
import { Unreachable, UsageError } from './exit.ts';
import { openParts } from './parts.ts';

type Addresses = { readonly databaseUrl: string; readonly eventstoreUrl: string };
export type Reached = Addresses & {
  /** Others may be using them now. */
  readonly isShared: boolean;
  close(): Promise<void>;
};

const fileOf = (dataDir: string) => path.join(dataDir, 'parts.json');

/** For others on this machine who may read what is ours. The file goes with the process; one that was left behind is no harm. */
export function noteParts(dataDir: string, { databaseUrl, eventstoreUrl }: Addresses): () => void {
  const file = fileOf(dataDir);
  writeFileSync(file, `${JSON.stringify({ databaseUrl, eventstoreUrl })}\n`, { mode: 0o600 });
  return () => rmSync(file, { force: true });
}

export async function reachParts(config: Config, log: Log): Promise<Reached> {
  const { databaseUrl, eventstoreUrl, dataDir } = config;
  if (databaseUrl !== undefined && eventstoreUrl !== undefined)
    return { databaseUrl, eventstoreUrl, isShared: true, close: async () => undefined };
  if (!existsSync(dataDir)) throw new UsageError(`There is nothing in ${dataDir}; name it with --data`);
  const lock = lockOf(dataDir);
  if (lock === undefined) return { ...addressesOf(config), isShared: true, close: async () => undefined };
  try {
    // Nobody is to be bothered by jobs: this looks, and does nothing.
    const parts = await openParts({ ...config, redisUrl: 'redis://unused', allowInlineMode: true }, log);
    const close = async () => {
      await parts.close();
      lock.release();
    };
    return { ...parts.config, isShared: false, close };
  } catch (error) {
    lock.release();
    throw error;
  }
}

/** Undefined: a process is running. */
function lockOf(dataDir: string) {
  try {
    return lockDirectory(dataDir);
  } catch (error) {
    if (error instanceof Error && error.name === 'DirectoryLocked') return undefined;
    throw error;
  }
}

function addressesOf({ dataDir, databaseUrl, eventstoreUrl }: Config): Addresses {
  try {
    const noted: Addresses = JSON.parse(readFileSync(fileOf(dataDir), 'utf8'));
    return {
      databaseUrl: databaseUrl ?? noted.databaseUrl,
      eventstoreUrl: eventstoreUrl ?? noted.eventstoreUrl,
    };
  } catch (error) {
    throw new Unreachable(
      `AppHub runs on ${dataDir} and is of a version that does not say where its parts are: stop it first.`,
      { cause: error },
    );
  }
}
