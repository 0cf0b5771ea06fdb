/**
 * Quotas: what launches have used in the present period, by the tables, is held against what they may. The log is told when a
 * quota is reached or free again; whoever starts something asks there. Launches that run meanwhile go to sleep, and say why.
 */
import type { Knex } from 'knex';
import { deriveId, quotaIdOf } from '../../commands/derive-id.ts';
import { launch } from '../../domain/apps/launch.ts';
import {
  overWords,
  periodOf,
  type QuotaCommand,
  type QuotaResource,
  quota,
} from '../../domain/apps/quota.ts';
import type { Meters } from '../../domain/apps/usage.ts';
import { faultPoint } from '../../platform/fault.ts';
import type { Quota, UsageConfig } from '../../platform/usage-config.ts';
import { actor, attempt, type Send } from '../effect.ts';

const rowsMax = 5_000;
const resources = ['cpuMs', 'memoryMbSeconds'] as const;

export type QuotaDeps = Send & { readonly sql: Knex; readonly usage: UsageConfig };

type Sum = Meters & { readonly owner: string };

/** Whether what these launches have used since it was last told may bring somebody over a quota; null: nobody's that is known. */
export async function nearlyOver(deps: QuotaDeps): Promise<(owner: string | null) => boolean> {
  const { perOwner, inAll } = deps.usage;
  if (!hasLimit(perOwner) && !hasLimit(inAll)) return () => false;
  const rows = await deps
    .sql('worker_usage as u')
    .join('apps_launches as l', 'l.launch_id', 'u.launch_id')
    .groupBy('l.owner')
    .select(
      'l.owner',
      deps.sql.raw('sum(u.cpu_ms - u.told_cpu_ms)::bigint as cpu'),
      deps.sql.raw('floor(sum(u.memory_mb_seconds - u.told_memory_mb_seconds))::bigint as memory'),
    );
  const untold: Sum[] = rows.map(({ owner, cpu, memory }) => ({
    owner,
    cpuMs: cpu,
    memoryMbSeconds: memory,
  }));
  const sums = addUp([...(await usedInPeriod(deps)), ...untold]);
  const isAllOver = overOf(inAll, totalOf(sums)).length > 0;
  const over = new Set(sums.filter(sum => overOf(perOwner, sum).length > 0).map(({ owner }) => owner));
  return owner => isAllOver || (owner !== null && over.has(owner));
}

export async function enforceQuotas(deps: QuotaDeps): Promise<void> {
  const { usage: config, clock } = deps;
  const known = await reachedRows(deps);
  if (!hasLimit(config.perOwner) && !hasLimit(config.inAll) && known.length === 0) return;
  const sums = await usedInPeriod(deps);
  const { from, until } = periodOf(config.period, clock.now());
  const reached = new Set<string>();
  const check = async (owner: string | null, limit: Quota, sum: Meters) => {
    for (const resource of overOf(limit, sum)) {
      const max = limit[resource] ?? 0;
      const over = { resource, used: sum[resource], max, from, until };
      reached.add(`${owner}\n${resource}`);
      await say(deps, owner, { type: 'ReachQuota', data: { ...named(deps, owner), ...over } });
      await putToSleep(deps, owner, overWords(owner, over));
    }
  };
  await check(null, config.inAll, totalOf(sums));
  for (const sum of sums) await check(sum.owner, config.perOwner, sum);
  for (const { owner, resource } of known) {
    if (reached.has(`${owner}\n${resource}`)) continue;
    await say(deps, owner, { type: 'FreeQuota', data: { ...named(deps, owner), resource } });
  }
}

const hasLimit = (limit: Quota) => resources.some(resource => limit[resource] !== undefined);
const overOf = (limit: Quota, sum: Meters): QuotaResource[] =>
  resources.filter(resource => sum[resource] >= (limit[resource] ?? Number.POSITIVE_INFINITY));

function addUp(parts: readonly Sum[]): Sum[] {
  const sums = new Map<string, Sum>();
  for (const { owner, cpuMs, memoryMbSeconds } of parts) {
    const before = sums.get(owner);
    sums.set(owner, {
      owner,
      cpuMs: (before?.cpuMs ?? 0) + cpuMs,
      memoryMbSeconds: (before?.memoryMbSeconds ?? 0) + memoryMbSeconds,
    });
  }
  return [...sums.values()];
}

function totalOf(sums: readonly Meters[]): Meters {
  return {
    cpuMs: sums.reduce((sum, { cpuMs }) => sum + cpuMs, 0),
    memoryMbSeconds: sums.reduce((sum, one) => sum + one.memoryMbSeconds, 0),
  };
}

async function usedInPeriod({ sql, usage, clock }: QuotaDeps): Promise<Sum[]> {
  const { day } = periodOf(usage.period, clock.now());
  const rows = await sql('apps_usage')
    .where('day', '>=', day)
    .groupBy('owner')
    .select(
      'owner',
      sql.raw('sum(cpu_ms)::bigint as cpu'),
      sql.raw('sum(memory_mb_seconds)::bigint as memory'),
    );
  return rows.map(({ owner, cpu, memory }) => ({ owner, cpuMs: cpu, memoryMbSeconds: memory }));
}

/** Those that the log holds for reached, whatever is allowed by now. */
function reachedRows({
  sql,
  clock,
}: QuotaDeps): Promise<{ owner: string | null; resource: QuotaResource }[]> {
  return sql('apps_quotas').where('until', '>', clock.now()).limit(rowsMax).select('owner', 'resource');
}

const named = ({ clock }: Send, owner: string | null) => ({
  quotaId: quotaIdOf(owner),
  owner,
  at: clock.now(),
});

async function say(deps: QuotaDeps, owner: string | null, command: QuotaCommand): Promise<void> {
  const time = deps.clock.now();
  const causationId = deriveId(command.type, owner ?? '', command.data.resource, time);
  const metadata = { actor, correlationId: causationId, causationId, time };
  await attempt(deps, quota, quotaIdOf(owner), command, metadata, []);
  faultPoint('quota.told');
}

/** Of this owner, or all. One that is on its way follows when it has come. */
async function putToSleep(deps: QuotaDeps, owner: string | null, because: string): Promise<void> {
  const running = await deps
    .sql('apps_launches')
    .where({ status: 'running', ...(owner === null ? {} : { owner }) })
    .whereNotNull('serving')
    .limit(rowsMax)
    .select('launch_id', 'serving');
  for (const { launch_id: launchId, serving: deployment } of running) {
    const time = deps.clock.now();
    const causationId = deriveId('quota', launchId, `${deployment}`);
    const metadata = { actor, correlationId: causationId, causationId, time };
    const data = { launchId, deployment, reason: 'quota', because, at: time } as const;
    const done = ['launch/already-ended'] as const;
    await attempt(deps, launch, launchId, { type: 'SleepLaunch', data }, metadata, done);
  }
}
