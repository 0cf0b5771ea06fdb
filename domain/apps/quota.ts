/**
 * A quota is how much the launches of one owner, or all of them together, may use in a period. Workers add up what is accounted
 * for and tell when it is reached; from then on nothing is started, until the period is over or more is allowed.
 */
import { type Decider, unreachable } from '../kernel/decider.ts';
import { Refusal } from '../kernel/refusal.ts';
import type { Meters } from './usage.ts';

export type QuotaResource = keyof Meters;

/** `until`: when the next period begins. */
type Reached = { resource: QuotaResource; used: number; max: number; from: string; until: string };
/** `owner`: whose launches; null: all of them. */
type OfQuota = { quotaId: string; owner: string | null; at: string };

export type QuotaEvent =
  | { type: 'QuotaReached'; data: OfQuota & Reached }
  | { type: 'QuotaFreed'; data: OfQuota & { resource: QuotaResource } };

export type QuotaCommand =
  | { type: 'ReachQuota'; data: OfQuota & Reached }
  | { type: 'FreeQuota'; data: OfQuota & { resource: QuotaResource } };

export type QuotaState = { readonly reached: { readonly [resource in QuotaResource]?: Reached } };

export const quota: Decider<QuotaState, QuotaCommand, QuotaEvent> = {
  category: 'apps.quota',
  initialState: { reached: {} },

  evolve(state, event) {
    switch (event.type) {
      case 'QuotaReached': {
        const { resource, used, max, from, until } = event.data;
        return { reached: { ...state.reached, [resource]: { resource, used, max, from, until } } };
      }
      case 'QuotaFreed': {
        const { [event.data.resource]: _freed, ...others } = state.reached;
        return { reached: others };
      }
      default:
        return unreachable(event);
    }
  },

  decide(command, state) {
    const known = state.reached[command.data.resource];
    switch (command.type) {
      case 'ReachQuota': {
        const { until, max } = command.data;
        if (known?.until === until && known.max === max) return [];
        return [{ type: 'QuotaReached', data: command.data }];
      }
      case 'FreeQuota':
        return known === undefined ? [] : [{ type: 'QuotaFreed', data: command.data }];
      default:
        return unreachable(command);
    }
  },
};

/** Of what is reached, what lasts longest. Undefined: something may be started. */
export function reachedAt({ reached }: QuotaState, at: string): Reached | undefined {
  const lasting = Object.values(reached).filter(({ until }) => Date.parse(until) > Date.parse(at));
  return lasting.sort((a, b) => Date.parse(b.until) - Date.parse(a.until))[0];
}

/** Refuses to start anything while the quota is reached. */
export function refuseOverQuota(state: QuotaState, owner: string | null, at: string): void {
  const over = reachedAt(state, at);
  if (over === undefined) return;
  const { resource, until: freeAt } = over;
  throw new Refusal('launch/over-quota', {
    owner,
    ...amounts(over),
    resource: resourceNames[resource],
    freeAt,
  });
}

/** As people and the API have them: seconds on a core, megabyte-hours. */
export const resourceNames = { cpuMs: 'cpuSeconds', memoryMbSeconds: 'memoryMbHours' } as const;

const perUnit: Readonly<Record<QuotaResource, number>> = { cpuMs: 1_000, memoryMbSeconds: 3_600 };

/** Meters in the units of people. */
export function inUnits(resource: QuotaResource, value: number): number {
  return Math.round((value / perUnit[resource]) * 1_000) / 1_000;
}

/** From the units of people. */
export function fromUnits(resource: QuotaResource, value: number): number {
  return Math.round(value * perUnit[resource]);
}

const amounts = ({ resource, used, max }: Reached) => ({
  used: inUnits(resource, used),
  max: inUnits(resource, max),
});

/** A sentence for those who use the launch. */
export function overWords(owner: string | null, { resource, max, until }: Reached): string {
  const whose = owner === null ? 'All launches together' : `The launches of ${owner}`;
  const most = inUnits(resource, max);
  const what = resource === 'cpuMs' ? `${most} CPU seconds` : `${most} MB-hours of memory`;
  return `${whose} have used the ${what} that they may; there is more from ${until}.`;
}

export type QuotaPeriod = 'day' | 'month';

/** The period that a time is in, in UTC: its first day, when it begins and when the next one does. */
export function periodOf(period: QuotaPeriod, at: string): { day: string; from: string; until: string } {
  const day = period === 'day' ? at.slice(0, 10) : `${at.slice(0, 7)}-01`;
  const from = `${day}T00:00:00.000Z`;
  const [year = 0, month = 1] = day.split('-').map(Number);
  const untilMs = period === 'day' ? Date.parse(from) + 86_400_000 : Date.UTC(year, month, 1);
  return { day, from, until: new Date(untilMs).toISOString() };
}
