/** What launches use just now, what they have used in a period, and what of that they may. */
import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox';
import type { Knex } from 'knex';
import { inUnits, periodOf, type QuotaResource, resourceNames } from '../../domain/apps/quota.ts';
import type { Meters } from '../../domain/apps/usage.ts';
import { allows, type Identity } from '../../platform/auth.ts';
import { Problem } from '../../platform/problem.ts';
import type { UsageConfig } from '../../platform/usage-config.ts';
import { After, type Freshness } from '../fresh.ts';
import { within } from '../reach.ts';
import { nullable, oneOf, Text, Time } from '../shapes.ts';

const rowsMax = 1_000;

const Sums = { cpuSeconds: Type.Number(), memoryMbHours: Type.Number() };

const Quota = Type.Object({
  owner: nullable(Type.String({ description: 'Whose launches; null: all of them together' })),
  resource: Type.Union([Type.Literal('cpuSeconds'), Type.Literal('memoryMbHours')]),
  used: nullable(Type.Number({ description: 'Null: only an administrator sees what all together use' })),
  max: Type.Number(),
  freeAt: nullable(Type.String({ format: 'date-time', description: 'Reached: nothing is started before' })),
});

const Usage = Type.Object({
  period: Type.Object({ from: Time, until: Time }),
  ...Sums,
  quotas: Type.Array(Quota),
  apps: Type.Array(Type.Object({ appId: Text, ...Sums })),
  days: Type.Array(Type.Object({ day: Text, ...Sums })),
  owners: Type.Array(Type.Object({ owner: Text, ...Sums })),
});

const Query = Type.Object({
  ...After,
  period: Type.Optional(
    Type.String({
      pattern: '^\\d{4}-(0[1-9]|1[0-2])(-(0[1-9]|[12]\\d|3[01]))?$',
      description: 'A month or a day in UTC, such as 2026-01; by default the present period of the quotas',
    }),
  ),
  all: Type.Optional(Type.Boolean({ description: 'Of everybody; needs the scope admin' })),
});

export type UsageReadDeps = {
  readonly sql: Knex;
  readonly fresh: Freshness;
  readonly usage: UsageConfig;
  readonly now: () => string;
};

export function usageReads({ sql, fresh, usage, now }: UsageReadDeps): FastifyPluginAsyncTypebox {
  return async app => {
    app.addHook('preHandler', fresh.check);
    app.get(
      '/usage',
      {
        config: { scope: 'apps:read' },
        schema: {
          tags: ['launches'],
          summary: 'What one’s launches have used in a period, by app and day, and what they may',
          querystring: Query,
          response: { 200: oneOf(Usage) },
        },
      },
      async request => {
        const { all = false, period } = request.query;
        const { identity } = request;
        if (all && !allows(identity, 'admin')) {
          throw new Problem(403, 'forbidden', 'This needs the scope admin', { extra: { scope: 'admin' } });
        }
        const present = periodOf(usage.period, now());
        const { from, until } = period === undefined ? present : namedPeriod(period);
        const owner = all ? null : identity.subject;
        const sums = (by: string) => sumsBy(sql, { by, from, until, owner, identity });
        const [apps, days, owners] = await Promise.all([
          sums('app_id'),
          sums('day'),
          all ? sums('owner') : [],
        ]);
        return {
          data: {
            period: { from, until },
            ...shown(totalOf(days)),
            quotas: await quotasOf({ sql, usage, now }, present, owner, identity),
            apps: apps.map(({ key: appId, ...of }) => ({ appId, ...shown(of) })),
            days: days
              .map(({ key: day, ...of }) => ({ day, ...shown(of) }))
              .sort((a, b) => a.day.localeCompare(b.day)),
            owners: owners.map(({ key, ...of }) => ({ owner: key, ...shown(of) })),
          },
        };
      },
    );
  };
}

const namedPeriod = (name: string) =>
  name.length === 7 ? periodOf('month', `${name}-01`) : periodOf('day', name);

export const shown = ({ cpuMs, memoryMbSeconds }: Meters) => ({
  cpuSeconds: inUnits('cpuMs', cpuMs),
  memoryMbHours: inUnits('memoryMbSeconds', memoryMbSeconds),
});

type Sum = Meters & { readonly key: string };
type Asked = { by: string; from: string; until: string; owner: string | null; identity: Identity };

/** Of the apps that the credential is good for, those with most first. */
async function sumsBy(sql: Knex, { by, from, until, owner, identity }: Asked): Promise<Sum[]> {
  const { where, bind } = within(identity.apps);
  const found = sql('apps_usage')
    .whereRaw(where, bind as never)
    .where('day', '>=', from.slice(0, 10))
    .where('day', '<', until.slice(0, 10))
    .groupBy(by)
    .orderByRaw('sum(cpu_ms) desc, ?? asc', [by])
    .limit(rowsMax)
    .select(
      `${by} as key`,
      sql.raw('sum(cpu_ms)::bigint as cpu'),
      sql.raw('sum(memory_mb_seconds)::bigint as memory'),
    );
  if (owner !== null) found.where({ owner });
  return (await found).map(({ key, cpu, memory }) => ({ key, cpuMs: cpu, memoryMbSeconds: memory }));
}

function totalOf(sums: readonly Meters[]): Meters {
  return {
    cpuMs: sums.reduce((sum, { cpuMs }) => sum + cpuMs, 0),
    memoryMbSeconds: sums.reduce((sum, one) => sum + one.memoryMbSeconds, 0),
  };
}

/** Those that are set, each with how far it is used in the present period; of all together only an administrator sees how far. */
async function quotasOf(
  { sql, usage, now }: Omit<UsageReadDeps, 'fresh'>,
  { day, until }: ReturnType<typeof periodOf>,
  asker: string | null,
  identity: Identity,
) {
  const limits = [
    ...(asker === null ? [] : limitsOf(usage.perOwner).map(limit => ({ owner: asker, ...limit }))),
    ...limitsOf(usage.inAll).map(limit => ({ owner: null, ...limit })),
  ];
  if (limits.length === 0) return [];
  const reached = await sql('apps_quotas').where('until', '>', now()).select('owner', 'resource', 'until');
  const used = async (owner: string | null) => {
    const rows = sql('apps_usage').where('day', '>=', day).where('day', '<', until.slice(0, 10));
    if (owner !== null) rows.where({ owner });
    const row = await rows.first(
      sql.raw('coalesce(sum(cpu_ms), 0)::bigint as cpu'),
      sql.raw('coalesce(sum(memory_mb_seconds), 0)::bigint as memory'),
    );
    return { cpuMs: Number(row.cpu), memoryMbSeconds: Number(row.memory) };
  };
  const own = asker === null ? undefined : await used(asker);
  const total = allows(identity, 'admin') ? await used(null) : undefined;
  return limits.map(({ owner, resource, max }) => {
    const sum = owner === null ? total : own;
    const over = reached.find(row => row.owner === owner && row.resource === resource);
    return {
      owner,
      resource: resourceNames[resource],
      used: sum === undefined ? null : inUnits(resource, sum[resource]),
      max: inUnits(resource, max),
      freeAt: over?.until ?? null,
    };
  });
}

function limitsOf(quota: UsageConfig['perOwner']): { resource: QuotaResource; max: number }[] {
  return (Object.entries(quota) as [QuotaResource, number][]).map(([resource, max]) => ({ resource, max }));
}
