/** What the containers of a launch use just now, what they may, and what it has used so far. */
import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox';
import type { Knex } from 'knex';
import { isPast } from '../as-of.ts';
import { After, type Freshness } from '../fresh.ts';
import { Count, nullable, oneOf, Time } from '../shapes.ts';
import { LaunchParams, presentLaunch } from './launch.ts';
import { shown } from './usage.ts';

/** A reading of before says nothing about now. */
const believedMsMax = 30_000;

const Container = Type.Object({
  deployment: Count,
  readAt: Time,
  cpus: nullable(Type.Number({ description: 'Cores in use; null after the first reading alone' })),
  cpusMax: Type.Number(),
  memoryBytes: Count,
  memoryBytesMax: Count,
  processes: Count,
  processesMax: Count,
  recent: Type.Array(Type.Object({ at: Time, cpus: Type.Number(), memoryBytes: Count }), {
    description: 'The last readings, oldest first',
  }),
});

const LaunchUsage = Type.Object({
  containers: Type.Array(Container, { description: 'Those that were read lately, the newest first' }),
  cpuSeconds: Type.Number({ description: 'Since it was launched' }),
  memoryMbHours: Type.Number(),
});

export type LaunchUsageDeps = { readonly sql: Knex; readonly fresh: Freshness; readonly now: () => string };

export function launchUsageReads({ sql, fresh, now }: LaunchUsageDeps): FastifyPluginAsyncTypebox {
  return async app => {
    app.addHook('preHandler', fresh.check);
    app.get(
      '/launches/:launchId/usage',
      {
        config: { scope: 'apps:read' },
        schema: {
          tags: ['launches'],
          summary: 'CPU and memory that a launch uses just now, and what it has used so far',
          params: LaunchParams,
          querystring: Type.Object(After),
          response: { 200: oneOf(LaunchUsage) },
        },
      },
      async request => {
        const { launchId } = request.params;
        await presentLaunch(sql, launchId, request.identity);
        const rows = await readingsOf(sql, launchId);
        const counted = await sql('apps_launch_usage').where({ launch_id: launchId }).first();
        const untold = (counter: 'cpu_ms' | 'memory_mb_seconds', told: string) =>
          rows.reduce((sum, row) => sum + Math.max(0, Number(row[counter]) - Number(row[told])), 0);
        const used = {
          cpuMs: (counted?.cpu_ms ?? 0) + untold('cpu_ms', 'told_cpu_ms'),
          memoryMbSeconds:
            (counted?.memory_mb_seconds ?? 0) + untold('memory_mb_seconds', 'told_memory_mb_seconds'),
        };
        const since = Date.parse(now()) - believedMsMax;
        const containers = rows.filter(row => Date.parse(row.read_at) >= since).map(containerOf);
        return { data: { containers, ...shown(used) } };
      },
    );
  };
}

type Row = Readonly<Record<string, number | null>> & {
  readonly read_at: string;
  readonly recent: readonly (readonly [number, number, number])[];
};

/** Workers make the table, perhaps not yet. What was read at an earlier time is not kept. */
async function readingsOf(sql: Knex, launchId: string): Promise<Row[]> {
  if (isPast()) return [];
  return sql('worker_usage')
    .where({ launch_id: launchId })
    .orderBy('deployment', 'desc')
    .catch(error => {
      if (error.code === '42P01') return [];
      throw error;
    });
}

function containerOf({ read_at: readAt, recent, ...row }: Row) {
  return {
    deployment: row.deployment ?? 0,
    readAt,
    cpus: row.cpus ?? null,
    cpusMax: row.cpus_max ?? 0,
    memoryBytes: row.memory_bytes ?? 0,
    memoryBytesMax: row.memory_bytes_max ?? 0,
    processes: row.processes ?? 0,
    processesMax: row.processes_max ?? 0,
    recent: recent.map(([seconds, cpus, memoryBytes]) => ({
      at: new Date(seconds * 1_000).toISOString(),
      cpus,
      memoryBytes,
    })),
  };
}
