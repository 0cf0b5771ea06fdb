/**
 * Puts the rooms together: what each needs is opened once and handed to it. The only place that knows them all. A room that is
 * not in this process is not loaded either: it would cost a start and memory for nothing.
 */
import path from 'node:path';
import { systemClock } from '../commands/clock.ts';
import { openLog } from '../eventstore/esdb.ts';
import { openBuildSecrets } from '../platform/build-secrets.ts';
import type { Config, Room } from '../platform/config.ts';
import type { Log } from '../platform/log.ts';
import { openObjectLogStore } from '../platform/log-objects.ts';
import { openLogStore } from '../platform/log-store.ts';
import { openPostgres } from '../platform/postgres.ts';
import { openNearHeads } from '../platform/proof/near-head.ts';
import { blame } from '../projections/blame.ts';
import { projections } from '../projections/index.ts';
import { openObjects } from '../workers/adapters/objects.ts';
import { openEgressProxy } from '../workers/egress/egress-proxy.ts';
import type { Secrets } from './installation.ts';
import { openConfigured } from './open-engines.ts';

export type RoomsOptions = Config & {
  readonly rooms: readonly Room[];
  readonly secrets: Secrets;
  readonly version: string;
  readonly log: Log;
};

export type Running = { readonly url: string; close(): Promise<void> };

export type Closing = () => Promise<unknown> | unknown;

/** Opens the rooms in this process. `close` ends them in the opposite order, letting what runs come to an end. */
export async function openRooms(options: RoomsOptions): Promise<Running> {
  const { rooms, log } = options;
  const closings: Closing[] = [];
  const close = async () => {
    for (const closing of closings.reverse()) {
      await Promise.resolve()
        .then(closing)
        .catch(error => log.error({ err: error }, 'something did not close'));
    }
  };
  const has = (room: Room) => rooms.includes(room);
  try {
    const shared = openShared(options, closings);
    if (has('projections')) await openTables(options, shared, closings);
    if (has('workers')) await openWorkers(options, shared, closings);
    if (!has('commands') && !has('read-api') && !has('web')) return { url: '', close };
    const { openDoors } = await import('./doors.ts');
    return { url: await openDoors(options, shared, closings), close };
  } catch (error) {
    await close();
    throw error;
  }
}

export type Shared = ReturnType<typeof openShared>;

function openShared(options: RoomsOptions, closings: Closing[]) {
  const {
    databaseUrl = '',
    eventstoreUrl = '',
    dataDir,
    engines,
    builds,
    sandbox,
    s3,
    secrets,
    log,
  } = options;
  const sql = openPostgres(databaseUrl, { name: `apphub ${options.rooms.join(',')}` });
  closings.push(() => sql.destroy());
  const events = openLog(eventstoreUrl);
  closings.push(() => events.close());
  const credentials = s3 && { accessKeyId: s3.accessKeyId, secretAccessKey: s3.secretAccessKey };
  const objects = openObjects(
    s3 === undefined || credentials === undefined
      ? { folder: path.join(dataDir, 'objects') }
      : {
          s3: {
            bucket: s3.bucket,
            region: s3.region,
            ...(s3.endpoint === undefined ? {} : { endpoint: s3.endpoint }),
            credentials,
          },
        },
  );
  const egress = options.rooms.includes('workers')
    ? openEgressProxy({ port: sandbox.egressPort, log })
    : undefined;
  closings.push(() => egress?.end());
  const logLimits = { logBytesMax: options.storage.logs.bytesMax };
  return {
    sql,
    store: events.store,
    stored: events.stored,
    blame: blame.bind(null, projections),
    objects,
    logs:
      s3 === undefined
        ? openLogStore(path.join(dataDir, 'logs'), logLimits)
        : openObjectLogStore(objects, logLimits),
    docker: openConfigured({ engines, builds, sandbox, egress, sql, instance: secrets.instance, log }),
    egress,
    buildSecrets: openBuildSecrets(sql, secrets.buildSecret),
    nearHeads: openNearHeads(),
  };
}

async function openTables(options: RoomsOptions, shared: Shared, closings: Closing[]): Promise<void> {
  const { audit, log } = options;
  const [{ passGate }, { openProjections }, { knownTypes }] = await Promise.all([
    import('../projections/gate.ts'),
    import('./projections-room.ts'),
    import('./known-types.ts'),
  ]);
  await passGate({ ...shared, projections, knownTypes, mode: audit.upgradeGate, log });
  closings.push(openProjections(options, shared).close);
}

async function openWorkers(options: RoomsOptions, shared: Shared, closings: Closing[]): Promise<void> {
  const { redisUrl, allowLocalRepositories, ingestionsAtOnce, buildsAtOnce, syncSeconds, log } = options;
  const [{ startWorkers }, { openAuditTree }] = await Promise.all([
    import('../workers/index.ts'),
    import('./audit-room.ts'),
  ]);
  const workers = await startWorkers({
    ...shared,
    clock: systemClock,
    redisUrl,
    workDir: path.join(options.dataDir, 'work'),
    allowLocalRepositories,
    ingestionsAtOnce,
    buildsAtOnce,
    builds: options.builds,
    syncSeconds,
    storage: { ...options.storage, dataDir: options.dataDir },
    launches: options.launches,
    workspaces: options.workspaces,
    usage: options.usage,
    profiles: options.sandbox.profiles,
    log,
  });
  closings.push(() => workers.close());
  closings.push(openAuditTree(options, shared).close);
}
