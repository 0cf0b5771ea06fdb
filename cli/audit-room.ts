/** Puts together the tree over all events: the worker that keeps it, and the proofs that the API answers with. */
import { createHash } from 'node:crypto';
import path from 'node:path';
import { systemClock } from '../commands/clock.ts';
import type { EventStore, StoredLog } from '../eventstore/store.ts';
import type { Config } from '../platform/config.ts';
import { listenTo } from '../platform/listen.ts';
import type { Log } from '../platform/log.ts';
import type { openPostgres } from '../platform/postgres.ts';
import { openReceipts, type Receipts } from '../platform/proof/receipts.ts';
import { keepAuditTree } from '../workers/access/audit-tree.ts';

const originChars = 8;

type Parts = {
  readonly sql: ReturnType<typeof openPostgres>;
  readonly store: EventStore;
  readonly stored: StoredLog;
};
type Options = Pick<Config, 'audit' | 'dataDir' | 'databaseUrl' | 'publicUrl'> & {
  readonly secrets: { readonly instance: string };
  readonly log: Log;
};

const listening =
  ({ databaseUrl = '' }: Pick<Options, 'databaseUrl'>) =>
  (channel: string, onHeard: () => void) =>
    listenTo(databaseUrl, channel, onHeard);

/** Keeps the tree until it is closed. */
export function openAuditTree(options: Options, parts: Parts): { close(): Promise<void> } {
  const { audit, dataDir, log } = options;
  if (!audit.enabled) return { close: async () => undefined };
  const stop = new AbortController();
  const running = keepAuditTree({
    ...parts,
    clock: systemClock,
    folder: path.join(dataDir, 'audit'),
    origin: audit.origin ?? originOf(options),
    checkpointEvents: audit.checkpointEvents,
    checkpointSeconds: audit.checkpointSeconds,
    listen: listening(options),
    onPublished: () => undefined,
    log,
    signal: stop.signal,
  });
  return {
    close() {
      stop.abort();
      return running;
    },
  };
}

/** Unlike any other, and no secret: where people reach AppHub, and a digest of what this installation is called. */
function originOf({ publicUrl, secrets }: Options): string {
  const host = publicUrl === undefined ? 'localhost' : new URL(publicUrl).hostname;
  const digest = createHash('sha256').update(secrets.instance).digest('hex').slice(0, originChars);
  return `${host}/audit/${digest}`;
}

export const openProofs = (options: Options, { sql }: Pick<Parts, 'sql'>): Promise<Receipts> =>
  openReceipts(sql, listening(options));
