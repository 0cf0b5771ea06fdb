/**
 * Tries dead letters again. What waits in a stream is read from the stream and applied in order, in one transaction that holds
 * the checkpoint, so that nothing else is stored meanwhile. First it is rehearsed and taken back; then the log is searched for
 * later events of other streams that touch the same rows. Where there are none, applying it late gives the rows that the log
 * gives; where there are some, the projection is made anew beside the live one, with everything in its place.
 */
import type { Knex } from 'knex';
import { everyContext, type Recorded } from '../domain/events.ts';
import { type EventStore, LogUnavailable } from '../eventstore/store.ts';
import { soundOpsOf, tryOut } from './careful.ts';
import { beginAnew, enter, type Generation, schemaOf } from './generation.ts';
import {
  blockedStreams,
  checkpointTable,
  dropLetter,
  dueLetters,
  type Failure,
  holdLetter,
  keepLetter,
  type Letter,
  leaveToRebuild,
  skippedOf,
} from './letters.ts';
import { overlaps, touchedBy } from './overlap.ts';
import { isOfEvent, wordsOf } from './poison.ts';
import { type Op, opsOf } from './projection.ts';

const lookMs = 1_000;
const lettersAtOnce = 20;

type Deps = {
  readonly sql: Knex;
  readonly store: EventStore;
  readonly signal: AbortSignal;
  /** How often it is looked whether one is due. */
  readonly lookMs?: number | undefined;
};

export type RetryHooks = {
  /** After each look. */
  onLook(): Promise<void>;
  /** Something has been begun that is to be followed too. */
  onBegun(): void;
  /** Readers that wait may find what they wait for. */
  onApplied(tx: Knex, position: bigint): Promise<void>;
};

/** Runs until the signal aborts. */
export async function retryLetters(
  deps: Deps,
  followed: readonly Generation[],
  hooks: RetryHooks,
): Promise<void> {
  const { signal } = deps;
  while (!signal.aborted) {
    await retryDue(deps, followed, hooks);
    await hooks.onLook();
    await pause(deps.lookMs ?? lookMs, signal);
  }
}

/** Those whose time has come. */
export async function retryDue(deps: Deps, followed: readonly Generation[], hooks: Settled): Promise<void> {
  for (const { of, letter } of await dueLetters(deps.sql, followed, lettersAtOnce)) {
    if (deps.signal.aborted) return;
    await retryOne(deps, of, letter.stream, hooks);
  }
}

type Settled = Pick<RetryHooks, 'onBegun' | 'onApplied'>;
type Applicable = { readonly event: Recorded; readonly ops: readonly Op[] };
type Attempt = {
  readonly letter: Letter;
  readonly applied: readonly Applicable[];
  readonly failure: Failure | undefined;
  /** Where the generation stands. */
  readonly to: bigint;
};

/** Takes a transaction back that has shown what it should. */
class TakenBack extends Error {}

async function retryOne(deps: Deps, of: Generation, stream: string, hooks: Settled): Promise<void> {
  const { sql, signal } = deps;
  let rehearsed: Attempt | undefined;
  await takingBack(sql, async tx => {
    const attempt = await attemptIn(tx, deps, of, stream);
    if (attempt === undefined) return;
    // Nothing of it can be in the way of others.
    if (attempt.applied.length === 0) return settle(tx, of, attempt, hooks);
    rehearsed = attempt;
    throw new TakenBack();
  });
  if (rehearsed === undefined) return;
  const { letter, applied, to } = rehearsed;
  const range = { from: BigInt(letter.position), to };
  if (!(await isOvertaken(sql, deps, of, applied, range))) {
    const isDone = await takingBack(sql, async tx => {
      const attempt = await attemptIn(tx, deps, of, stream);
      if (attempt === undefined) return;
      const since = { from: to, to: attempt.to };
      if (await isOvertaken(tx, deps, of, attempt.applied, since)) throw new TakenBack();
      if (signal.aborted) throw new TakenBack();
      await settle(tx, of, attempt, hooks);
    });
    if (isDone) return;
  }
  if (!signal.aborted) await makeAnew(sql, of, stream, hooks);
}

/** Whether it was committed. */
async function takingBack(sql: Knex, body: (tx: Knex) => Promise<void>): Promise<boolean> {
  try {
    await sql.transaction(body);
    return true;
  } catch (error) {
    if (error instanceof TakenBack) return false;
    throw error;
  }
}

/** Applies what can be applied now of what waits in the stream. Undefined: there is nothing to apply any more. */
async function attemptIn(
  tx: Knex,
  { store }: Deps,
  of: Generation,
  stream: string,
): Promise<Attempt | undefined> {
  const { projection, generation } = of;
  const { name, version } = projection;
  const place = await tx(checkpointTable(of))
    .where({ name, generation, version })
    .forUpdate()
    .first(tx.raw('position::text as position'));
  const letter = place?.position == null ? undefined : await holdLetter(tx, of, stream);
  if (letter === undefined) return undefined;
  const to = BigInt(place.position);
  const events = await waitingIn(store, letter, to);
  if (!Array.isArray(events)) return { letter, applied: [], failure: events as Failure, to };
  const skipped = await skippedOf(tx, of);
  const { sound, failure } = soundOnes(of, skipped, events);
  await enter(tx, schemaOf(projection, generation));
  const applied: Applicable[] = [];
  for (let rest = sound; ; ) {
    const { count, error } = await applyFirst(tx, of, rest);
    applied.push(...rest.slice(0, count));
    const stopper = rest[count];
    rest = rest.slice(count + 1);
    if (stopper === undefined) break;
    if (skipped.has(stopper.event.position.toString())) continue;
    const waiting = events.length - events.indexOf(stopper.event) - 1;
    await tx.raw('set local search_path to public');
    return { letter, applied, failure: { event: stopper.event, error: wordsOf(error), waiting }, to };
  }
  await tx.raw('set local search_path to public');
  return { letter, applied, failure, to };
}

/** What waits, in order; or why the stream cannot be read. */
async function waitingIn(
  store: EventStore,
  letter: Letter,
  to: bigint,
): Promise<readonly Recorded[] | Failure> {
  try {
    const { events } = await store.load(letter.stream, { isLenient: true });
    return events.filter(({ revision, position }) => revision >= BigInt(letter.revision) && position <= to);
  } catch (error) {
    if (error instanceof LogUnavailable) throw error;
    const { position, revision, type } = letter;
    const event = { position: BigInt(position), revision: BigInt(revision), type };
    return { event, error: wordsOf(error), waiting: null };
  }
}

/** Those that the projection can make operations of, up to the first it cannot. Those that are to be skipped are left out. */
function soundOnes(of: Generation, skipped: ReadonlySet<string>, events: readonly Recorded[]) {
  const sound: Applicable[] = [];
  for (const [at, event] of events.entries()) {
    try {
      sound.push({ event, ops: soundOpsOf(of.projection, event) });
    } catch (error) {
      if (skipped.has(event.position.toString())) continue;
      const failure: Failure = { event, error: wordsOf(error), waiting: events.length - at - 1 };
      return { sound, failure };
    }
  }
  return { sound, failure: undefined };
}

/** Applies as many as can be, from the first. */
async function applyFirst(
  tx: Knex,
  of: Generation,
  some: readonly Applicable[],
): Promise<{ count: number; error?: unknown }> {
  if (some.length === 0) return { count: 0 };
  try {
    await tryOut(tx, of.projection, some);
    return { count: some.length };
  } catch (error) {
    if (!isOfEvent(error)) throw error;
    if (some.length === 1) return { count: 0, error };
    const half = Math.ceil(some.length / 2);
    const left = await applyFirst(tx, of, some.slice(0, half));
    if (left.count < half) return left;
    const right = await applyFirst(tx, of, some.slice(half));
    return { ...right, count: half + right.count };
  }
}

async function settle(tx: Knex, of: Generation, attempt: Attempt, hooks: Settled): Promise<void> {
  const { letter, failure, to } = attempt;
  if (failure === undefined) await dropLetter(tx, of, letter.stream);
  else await keepLetter(tx, of, letter, failure);
  if (of.role === 'live') await hooks.onApplied(tx, to);
}

/** Whether something in this part of the log, of streams that do not wait, has to stay behind what is late. */
async function isOvertaken(
  sql: Knex,
  { store, signal }: Deps,
  of: Generation,
  late: readonly Applicable[],
  { from, to }: { readonly from: bigint; readonly to: bigint },
): Promise<boolean> {
  if (from >= to) return false;
  const { projection } = of;
  const blocked = await blockedStreams(sql, of);
  const isApplied = ({ stream, position }: Recorded) => position < (blocked.get(stream) ?? position + 1n);
  const touched = touchedBy(projection.tables, late);
  const stop = new AbortController();
  const batches = store.subscribe({
    from,
    streamPrefixes: everyContext,
    signal: AbortSignal.any([signal, stop.signal]),
  });
  try {
    for await (const { events, position, caughtUp } of batches) {
      for (const event of events) {
        if (event.position > to) return false;
        if (!isApplied(event)) continue;
        if (overlaps(projection.tables, touched, event.position, opsOf(projection, event))) return true;
      }
      if (caughtUp || (position ?? 0n) >= to) return false;
    }
    return false;
  } finally {
    stop.abort();
  }
}

async function makeAnew(sql: Knex, of: Generation, stream: string, hooks: Settled): Promise<void> {
  const isBegun = await sql.transaction(async tx => {
    await leaveToRebuild(tx, of, stream);
    return beginAnew(tx, of);
  });
  if (isBegun) hooks.onBegun();
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    if (signal.aborted) return resolve();
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => [clearTimeout(timer), resolve()], { once: true });
  });
}
