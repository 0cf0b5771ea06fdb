/**
 * What a launch has used, as it is accounted for: intervals of one container after another, each counted once. A container is
 * known by two meters that only go forward, so whoever reads them late, twice or after a crash adds what is new and nothing else.
 */
import { type Decider, unreachable } from '../kernel/decider.ts';

/** What the meters of one container show, since it was started: time on cores, and megabytes of memory times seconds. */
export type Meters = { cpuMs: number; memoryMbSeconds: number };

type OfContainer = { launchId: string; appId: string; owner: string; deployment: number };

/** What was used from `from` to `to`; `isLast`: the container is gone, and nothing of it follows. */
type Used = OfContainer & { from: string; to: string; isLast: boolean } & Meters;

export type UsageEvent = { type: 'LaunchUsed'; data: Used };

export type UsageCommand = {
  type: 'ReadMeters';
  /** `startedAt`: when the meters stood at nothing. `at`: when they were read. */
  data: OfContainer & { startedAt: string; at: string; isLast: boolean } & Meters;
};

export type UsageState = {
  /** What is accounted for of each container that may be there, and up to when. */
  readonly counted: { readonly [deployment: number]: Meters & { readonly to: string } };
  /** Those of which nothing follows. */
  readonly closed: readonly number[];
};

export const usage: Decider<UsageState, UsageCommand, UsageEvent> = {
  category: 'apps.usage',
  initialState: { counted: {}, closed: [] },

  evolve(state, event) {
    switch (event.type) {
      case 'LaunchUsed': {
        const { deployment, to, isLast, cpuMs, memoryMbSeconds } = event.data;
        const { [deployment]: before, ...others } = state.counted;
        if (isLast) return { counted: others, closed: [...state.closed, deployment] };
        const sum = {
          to,
          cpuMs: (before?.cpuMs ?? 0) + cpuMs,
          memoryMbSeconds: (before?.memoryMbSeconds ?? 0) + memoryMbSeconds,
        };
        return { ...state, counted: { ...others, [deployment]: sum } };
      }
      default:
        return unreachable(event.type);
    }
  },

  decide(command, state) {
    const { startedAt, at, cpuMs, memoryMbSeconds, ...of } = command.data;
    if (state.closed.includes(of.deployment)) return [];
    const before = state.counted[of.deployment];
    const from = before?.to ?? startedAt;
    // A reading of before, or of a clock that was set back, is not taken for a new one.
    const isNewer = Date.parse(at) > Date.parse(from);
    if (!isNewer && !of.isLast) return [];
    const used = {
      cpuMs: isNewer ? Math.max(0, cpuMs - (before?.cpuMs ?? 0)) : 0,
      memoryMbSeconds: isNewer ? Math.max(0, memoryMbSeconds - (before?.memoryMbSeconds ?? 0)) : 0,
    };
    const isNothing = used.cpuMs === 0 && used.memoryMbSeconds === 0;
    if (isNothing && (!of.isLast || before === undefined)) return [];
    return [{ type: 'LaunchUsed', data: { ...of, from, to: isNewer ? at : from, ...used } }];
  },
};
