/**
 * Bounds what filling tables takes from those that are read. While nothing happens it goes at full speed. Once something has been
 * written just now it goes in small pieces, and it stands still while the live tables are behind what they have been told.
 */

/** Events of one piece. */
const eventsMaxBusy = 1_000;
const busyMs = 2_000;
/** So long may the live tables take for what they have got; then they are waited for, so long at most. */
const behindMsMax = 100;
const waitMsMax = 2_000;
const lookMs = 10;

export type Pace = {
  /** The live tables have got something to store, and have stored it. */
  begun(): void;
  ended(): void;
  /** How many events may be filled in at once; undefined: as many as there are room for. */
  eventsMax(): number | undefined;
  /** Resolves when it is the turn of what is filled. */
  turn(signal: AbortSignal): Promise<void>;
};

export function openPace(now: () => number = () => performance.now()): Pace {
  /** When each batch came that is not stored. */
  const pending: number[] = [];
  let lastMs = Number.NEGATIVE_INFINITY;
  return {
    begun() {
      pending.push(now());
      lastMs = now();
    },
    ended() {
      pending.shift();
      lastMs = now();
    },
    eventsMax: () => (now() - lastMs < busyMs ? eventsMaxBusy : undefined),
    async turn(signal) {
      const giveUp = now() + waitMsMax;
      const isBehind = () => now() - (pending[0] ?? now()) > behindMsMax;
      while (isBehind() && now() < giveUp && !signal.aborted)
        await new Promise(resolve => setTimeout(resolve, lookMs));
    },
  };
}
