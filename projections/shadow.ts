/** The second fold of the log: brings the self-audit's own tables to a position, a piece at a time. */
import type { Knex } from 'knex';
import { everyContext, type Recorded } from '../domain/events.ts';
import type { EventStore } from '../eventstore/store.ts';
import { oldest, plan, storeWork } from './follow.ts';
import type { Generation } from './generation.ts';

/**
 * Applies at most about `eventsMax` events up to and with `to`. Answers whether all of them are at `to` now, or beyond. What it
 * fails with leaves the positions in memory wrong: they have to be read again.
 */
export async function advance(
  sql: Knex,
  store: EventStore,
  shadows: readonly Generation[],
  to: bigint,
  { eventsMax, signal }: { readonly eventsMax: number; readonly signal: AbortSignal },
): Promise<boolean> {
  const behind = shadows.filter(({ position }) => position === null || position < to);
  if (behind.length === 0) return true;
  const stop = new AbortController();
  const events: Recorded[] = [];
  let position: bigint | null = null;
  let isThere = false;
  const batches = store.subscribe({
    from: oldest(behind) ?? 'start',
    streamPrefixes: everyContext,
    signal: AbortSignal.any([signal, stop.signal]),
  });
  for await (const batch of batches) {
    for (const event of batch.events) if (event.position <= to) events.push(event);
    isThere = batch.caughtUp || (batch.position ?? 0n) >= to;
    position = isThere ? to : (batch.position ?? position);
    if (isThere || events.length >= eventsMax) break;
  }
  stop.abort();
  await storeWork(sql, plan(behind, { events, position, caughtUp: isThere }));
  return isThere;
}
