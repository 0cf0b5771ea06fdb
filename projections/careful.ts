/**
 * Applies a batch that holds an event which cannot be applied. Savepoints inside the caller's transaction halve the batch until
 * that event stands alone; what is before and after it in other streams is applied once, in order, and what comes later in its
 * own stream waits.
 */
import type { Knex } from 'knex';
import type { Recorded } from '../domain/events.ts';
import { applySteps, statementsOf } from './apply.ts';
import { enter, type Generation, schemaOf } from './generation.ts';
import { leaveWaiting, nothingUndone, skippedOf, type Undone } from './letters.ts';
import { mergeOps } from './merge.ts';
import { isOfEvent, Poisoned, wordsOf } from './poison.ts';
import { type Op, opsOf, type Projection } from './projection.ts';

type Applicable = { readonly event: Recorded; readonly ops: readonly Op[] };

/** What this event does; rejects with Poisoned where the handler throws, or names what the projection has not. */
export function soundOpsOf(projection: Projection, event: Recorded): readonly Op[] {
  try {
    const ops = opsOf(projection, event);
    statementsOf(projection.tables, mergeOps(projection.tables, ops));
    return ops;
  } catch (error) {
    throw new Poisoned('cannot be applied', { cause: error });
  }
}

/** Applies what can be, leaving out what belongs to streams that wait. Answers what is left undone. */
export async function applyCarefully(
  tx: Knex,
  of: Generation,
  events: readonly Recorded[],
  blocked: ReadonlyMap<string, bigint>,
): Promise<Undone> {
  const undone = nothingUndone();
  const stopped = new Set(blocked.keys());
  const skipped = await skippedOf(tx, of);
  const refuse = (event: Recorded, error: unknown) => {
    if (skipped.has(event.position.toString())) return;
    undone.poison.set(event.stream, { event, error: wordsOf(error) });
    stopped.add(event.stream);
  };
  const applicable: Applicable[] = [];
  for (const event of events) {
    if (stopped.has(event.stream)) {
      leaveWaiting(undone, event);
      continue;
    }
    try {
      applicable.push({ event, ops: soundOpsOf(of.projection, event) });
    } catch (error) {
      refuse(event, error);
    }
  }
  await enter(tx, schemaOf(of.projection, of.generation));
  // From here on what an earlier event of a stream stops is known by its letter's place: later ones of it wait too.
  const isBehind = ({ stream, position }: Recorded) =>
    (undone.poison.get(stream)?.event.position ?? position) < position;
  await applyRange(tx, of.projection, applicable, {
    isBehind,
    wait: event => leaveWaiting(undone, event),
    refuse: (event, error) => {
      const later = undone.poison.get(event.stream)?.event;
      // The handler's own failure lies behind this one in the stream, and waits now as the rest does.
      if (later !== undefined && !skipped.has(event.position.toString())) addFirst(undone, later);
      refuse(event, error);
    },
  });
  await tx.raw('set local search_path to public');
  return undone;
}

function addFirst({ waiting }: Undone, { stream, position }: Recorded): void {
  const { count, last } = waiting.get(stream) ?? { count: 0, last: position };
  waiting.set(stream, { count: count + 1, last });
}

type Course = {
  isBehind(event: Recorded): boolean;
  wait(event: Recorded): void;
  refuse(event: Recorded, error: unknown): void;
};

async function applyRange(
  tx: Knex,
  projection: Projection,
  range: readonly Applicable[],
  course: Course,
): Promise<void> {
  const own = range.filter(({ event }) => {
    const isBehind = course.isBehind(event);
    if (isBehind) course.wait(event);
    return !isBehind;
  });
  if (own.length === 0) return;
  try {
    await tryOut(tx, projection, own);
  } catch (error) {
    if (!isOfEvent(error)) throw error;
    const [first] = own;
    if (own.length === 1 && first !== undefined) return course.refuse(first.event, error);
    const half = Math.ceil(own.length / 2);
    await applyRange(tx, projection, own.slice(0, half), course);
    await applyRange(tx, projection, own.slice(half), course);
  }
}

/** All of them, or nothing and the failure. */
export async function tryOut(tx: Knex, { tables }: Projection, some: readonly Applicable[]): Promise<void> {
  await tx.raw('savepoint careful');
  try {
    const ops = some.flatMap(one => one.ops);
    await applySteps(tx, tables, mergeOps(tables, ops));
    await tx.raw('release savepoint careful');
  } catch (error) {
    if (!isOfEvent(error)) throw error;
    await tx.raw('rollback to savepoint careful; release savepoint careful');
    throw error;
  }
}
