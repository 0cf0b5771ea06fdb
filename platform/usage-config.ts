/** What the environment says about accounting and quotas. The reader throws an Error that says what would be right. */
import { fromUnits, type QuotaPeriod } from '../domain/apps/quota.ts';
import type { Meters } from '../domain/apps/usage.ts';

type Env = Readonly<Record<string, string | undefined>>;

/** How much may be used in a period; what is not named has no limit. */
export type Quota = { readonly [resource in keyof Meters]?: number };

export type UsageConfig = {
  /** What a launch uses is told after so long, and when its container is gone. */
  readonly eventSeconds: number;
  readonly period: QuotaPeriod;
  /** Of the launches of one owner, and of all together. */
  readonly perOwner: Quota;
  readonly inAll: Quota;
};

const unitsMax = 1_000_000_000;

export function readUsage(env: Env): UsageConfig {
  const whole = (name: string, byDefault: number, min: number, max: number) => {
    const given = env[name]?.trim() || undefined;
    const value = Number(given ?? byDefault);
    if (Number.isInteger(value) && value >= min && value <= max) return value;
    throw new Error(`${name} is "${given}"; it must be a whole number from ${min} to ${max}`);
  };
  const quotaOf = (cpuName: string, memoryName: string): Quota => {
    const cpu = whole(cpuName, 0, 0, unitsMax);
    const memory = whole(memoryName, 0, 0, unitsMax);
    return {
      ...(cpu === 0 ? {} : { cpuMs: fromUnits('cpuMs', cpu) }),
      ...(memory === 0 ? {} : { memoryMbSeconds: fromUnits('memoryMbSeconds', memory) }),
    };
  };
  const period = env.APPHUB_QUOTA_PERIOD?.trim() || 'month';
  if (period !== 'day' && period !== 'month') {
    throw new Error(`APPHUB_QUOTA_PERIOD is "${period}"; it must be day or month`);
  }
  return {
    eventSeconds: whole('APPHUB_USAGE_EVENT_SECONDS', 300, 1, 3_600),
    period,
    perOwner: quotaOf('APPHUB_QUOTA_CPU_SECONDS_PER_OWNER', 'APPHUB_QUOTA_MEMORY_MB_HOURS_PER_OWNER'),
    inAll: quotaOf('APPHUB_QUOTA_CPU_SECONDS', 'APPHUB_QUOTA_MEMORY_MB_HOURS'),
  };
}
