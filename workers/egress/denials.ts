/** What apps were refused on their way out, counted: an app that tries again and again is one line. */

export type DenialReason = 'not-allowed' | 'private-address' | 'too-much';

type Tried = {
  readonly launchId: string;
  readonly host: string;
  readonly port: number;
  readonly reason: DenialReason;
};
export type Denial = Tried & { readonly count: number };

const hostsPerLaunchMax = 50;
const launchesMax = 10_000;

/** Of one launch so many hosts are told apart; those after them are counted together. */
export function openDenials() {
  let counts = new Map<string, Map<string, { tried: Tried; count: number }>>();
  return {
    /** True: it is the first of its kind since they were taken. */
    add(tried: Tried): boolean {
      const ofLaunch = counts.get(tried.launchId) ?? new Map();
      if (!counts.has(tried.launchId)) {
        if (counts.size >= launchesMax) return false;
        counts.set(tried.launchId, ofLaunch);
      }
      const known = (one: Tried) => ofLaunch.get(`${one.host}:${one.port} ${one.reason}`);
      const isOneMore = ofLaunch.size >= hostsPerLaunchMax && known(tried) === undefined;
      const counted = isOneMore ? { ...tried, host: '…', port: 0 } : tried;
      const before = known(counted);
      const key = `${counted.host}:${counted.port} ${counted.reason}`;
      ofLaunch.set(key, { tried: counted, count: (before?.count ?? 0) + 1 });
      return before === undefined;
    },
    take(): readonly Denial[] {
      const all = [...counts.values()].flatMap(ofLaunch => [...ofLaunch.values()]);
      counts = new Map();
      return all.map(({ tried, count }) => ({ ...tried, count }));
    },
  };
}
