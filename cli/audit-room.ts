/** Puts together the tree over all events: the worker that keeps it, and the proofs that the API answers with. */
import { createHash } from 'node:crypto';
import path from 'node:path';
import { systemClock } from '../commands/clock.ts';
import type { EventStore, StoredLog } from '../eventstore/store.ts';
import type { WitnessConfig } from '../platform/audit-witness-config.ts';
import type { Config } from '../platform/config.ts';
import { listenTo } from '../platform/listen.ts';
import type { Log } from '../platform/log.ts';
import type { openPostgres } from '../platform/postgres.ts';
import type { NearHeads } from '../platform/proof/near-head.ts';
import { openReceipts, type Receipts } from '../platform/proof/receipts.ts';
import { keepAuditTree } from '../workers/access/audit-tree.ts';
import { keepWitnesses } from '../workers/access/audit-witnesses.ts';
import type { Witness } from '../workers/access/witness.ts';
import { fileWitness } from '../workers/adapters/witness-file.ts';
import { gitWitness } from '../workers/adapters/witness-git.ts';
import { httpWitness } from '../workers/adapters/witness-http.ts';

const originChars = 8;

type Parts = {
  readonly sql: ReturnType<typeof openPostgres>;
  readonly store: EventStore;
  readonly stored: StoredLog;
  /** The heads of the tree, from those who keep it to those who wait for them in the same process. */
  readonly nearHeads: NearHeads;
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
  const folder = path.join(dataDir, 'audit');
  const witnesses = keepWitnesses({
    sql: parts.sql,
    clock: systemClock,
    witnesses: audit.witnesses.map(one => witnessOf(one, folder)),
    log,
    signal: stop.signal,
  });
  const running = keepAuditTree({
    ...parts,
    near: parts.nearHeads,
    clock: systemClock,
    folder,
    origin: audit.origin ?? originOf(options),
    checkpointEvents: audit.checkpointEvents,
    checkpointSeconds: audit.checkpointSeconds,
    listen: listening(options),
    onPublished: witnesses.published,
    log,
    signal: stop.signal,
  });
  return {
    async close() {
      stop.abort();
      await Promise.all([running, witnesses.ended]);
    },
  };
}

function witnessOf(config: WitnessConfig, folder: string): Witness {
  if (config.kind === 'file') return fileWitness(config);
  if (config.kind === 'git') return gitWitness(config, path.join(folder, `witness-${config.name}`));
  return httpWitness({ ...config, kind: config.kind });
}

/** Unlike any other, and no secret: where people reach AppHub, and a digest of what this installation is called. */
function originOf({ publicUrl, secrets }: Options): string {
  const host = publicUrl === undefined ? 'localhost' : new URL(publicUrl).hostname;
  const digest = createHash('sha256').update(secrets.instance).digest('hex').slice(0, originChars);
  return `${host}/audit/${digest}`;
}

export const openProofs = (
  options: Options,
  { sql, nearHeads }: Pick<Parts, 'sql' | 'nearHeads'>,
): Promise<Receipts> => openReceipts(sql, listening(options), nearHeads);
