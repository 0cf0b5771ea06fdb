/**
 * Keeps the versions of a batch that holds an event which cannot be applied. That event stops its stream in this projection, as
 * it does in the live tables, and nothing else: the others are applied one by one, each in a savepoint of the transaction.
 */
import type { Knex } from 'knex';
import type { Recorded } from '../domain/events.ts';
import { skippedOf } from './letters.ts';
import { noteStopped } from './past-mended.ts';
import { pastSteps } from './past-steps.ts';
import type { Kept } from './past-tables.ts';
import { isOfEvent, wordsOf } from './poison.ts';
import { runAll } from './statements.ts';

type Stopped = { readonly of: Kept; readonly event: Recorded; readonly error: string };

/** Answers the streams that stop here; they are written down with the rest. */
export async function keepCarefully(
  tx: Knex,
  behind: readonly Kept[],
  events: readonly Recorded[],
): Promise<readonly Stopped[]> {
  const found: Stopped[] = [];
  for (const of of behind) {
    if ((await tryOut(tx, of, events)) === undefined) continue;
    const stopped = new Set(of.stopped);
    const skipped = await skippedOf(tx, of);
    for (const event of events) {
      if (stopped.has(event.stream)) continue;
      const error = await tryOut(tx, of, [event]);
      if (error === undefined || skipped.has(event.position.toString())) continue;
      stopped.add(event.stream);
      found.push({ of, event, error: wordsOf(error) });
    }
  }
  const stops = found.map(({ of: { projection }, event, error }) => ({
    name: projection.name,
    stream: event.stream,
    position: event.position.toString(),
    error,
  }));
  await noteStopped(tx, stops);
  return found;
}

/** All of them, or nothing and why not. */
async function tryOut(tx: Knex, of: Kept, events: readonly Recorded[]): Promise<unknown> {
  await tx.raw('savepoint careful');
  try {
    await runAll(tx, pastSteps(of, events));
    await tx.raw('release savepoint careful');
    return undefined;
  } catch (error) {
    if (!isOfEvent(error)) throw error;
    await tx.raw('rollback to savepoint careful; release savepoint careful');
    return error;
  }
}
