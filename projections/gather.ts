/**
 * Collects what the log brings while the last of it is being stored. Who is far behind gets much at once, so that what happened
 * to one row is folded together and reading goes on beside writing; who follows live gets each event as it comes.
 */
import type { Json, Recorded } from '../domain/events.ts';
import type { Batch } from '../eventstore/store.ts';

const eventsMax = 20_000;
/** About as many bytes of data. */
const bytesMax = 32 << 20;

export type Gathered = Batch;

export type Gathering = {
  /**
   * What has come since the last call. Waits until there is something and, while `busy` is pending, until there is as much as one
   * call may answer. Undefined at the end. Rejects with what the source, or `busy`, failed with.
   */
  next(busy: Promise<unknown>): Promise<Gathered | undefined>;
  /** Lets the source go on, so that it can notice its signal. Resolves when it has ended. */
  close(): Promise<void>;
};

/** `eventsAtOnce` may ask for less than what there is room for. */
export function gather(
  source: AsyncIterable<Batch>,
  eventsAtOnce: () => number | undefined = () => undefined,
): Gathering {
  let events: Recorded[] = [];
  let bytes = 0;
  let news: { position: bigint | null; caughtUp: boolean } | undefined;
  let state: 'open' | 'closed' | 'ended' = 'open';
  let failure: unknown;
  let changed = Promise.withResolvers<void>();
  const announce = () => {
    changed.resolve();
    changed = Promise.withResolvers<void>();
  };
  const isFull = () => events.length >= (eventsAtOnce() ?? eventsMax) || bytes >= bytesMax;

  const pump = async () => {
    for await (const batch of source) {
      for (const event of batch.events) {
        events.push(event);
        bytes += sizeOf(event.data);
      }
      const position = batch.position ?? news?.position ?? null;
      news = { position, caughtUp: batch.caughtUp || news?.caughtUp === true };
      announce();
      while (isFull() && state === 'open') await changed.promise;
    }
  };
  const ended = pump()
    .catch(error => {
      failure = error;
    })
    .finally(() => {
      state = 'ended';
      announce();
    });

  const take = (): Gathered => {
    const taken = { events, position: null, caughtUp: false, ...news };
    events = [];
    bytes = 0;
    news = undefined;
    announce();
    return taken;
  };

  return {
    async next(busy) {
      let isIdle = false;
      busy.then(
        () => {
          isIdle = true;
          announce();
        },
        error => {
          failure = error;
          announce();
        },
      );
      for (;;) {
        if (failure !== undefined) throw failure;
        if (isFull() || (isIdle && news !== undefined)) return take();
        if (state !== 'open') return undefined;
        await changed.promise;
      }
    },
    async close() {
      if (state === 'open') state = 'closed';
      announce();
      await ended;
    },
  };
}

/** About the bytes of a value as JSON: enough to bound memory, at a fraction of the cost of writing it. */
function sizeOf(value: Json | object): number {
  if (typeof value === 'string') return value.length + 2;
  if (typeof value !== 'object' || value === null) return 6;
  let size = 2;
  if (Array.isArray(value)) for (const one of value) size += sizeOf(one) + 1;
  else for (const [key, one] of Object.entries(value)) size += key.length + 4 + sizeOf(one);
  return size;
}
