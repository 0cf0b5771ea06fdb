/**
 * Dead letters: events that a projection cannot apply. One stops its stream in that projection and nothing else: what comes
 * later in the stream waits behind it, and is read from the stream again once it can be applied. So a stream has one row here,
 * whatever waits in it. Letters belong to a generation, and are stored in the transaction that moves its checkpoint.
 */
import type { Knex } from 'knex';
import type { Recorded } from '../domain/events.ts';
import type { Generation } from './generation.ts';

/** Where more streams than this are stopped it is the code that is at fault, and the projection stands still. */
export const lettersMax = 1_000;

const firstTryMs = 5_000;
const tryMsMax = 3_600_000;
/** After so many attempts it is tried again when somebody asks, and at each start. */
const attemptsMax = 12;

export async function createLetters(sql: Knex): Promise<void> {
  await createSkips(sql);
  await sql.raw(`
    create table if not exists projection_letters (
      projection text not null, generation integer not null, stream text not null, position bigint not null,
      revision bigint not null, type text not null, error text not null, attempts integer not null, waiting integer not null,
      last_position bigint not null, skip_reason text, needs_rebuild boolean not null default false,
      next_try_at timestamptz, first_at timestamptz not null, last_at timestamptz not null,
      primary key (projection, generation, stream));
    alter table projection_checkpoints add column if not exists letters integer not null default 0;
    alter table projection_checkpoints add column if not exists problem text;
    alter table projection_generations add column if not exists letters integer not null default 0;
    alter table projection_generations add column if not exists letters_accepted boolean not null default false`);
}

/** May be called by several at once, which `if not exists` alone does not stand. */
export async function createSkips(sql: Knex): Promise<void> {
  await sql.transaction(async tx => {
    await tx.raw(`select pg_advisory_xact_lock(hashtext('projection_skips'))`);
    await tx.raw(`create table if not exists projection_skips (
      projection text not null, position bigint not null, primary key (projection, position))`);
  });
}

/** A start may bring the code that can apply them. */
export async function retryAllLetters(sql: Knex): Promise<void> {
  await sql('projection_letters').update({ next_try_at: sql.fn.now() });
}

export type Letter = {
  readonly stream: string;
  readonly position: string;
  readonly revision: string;
  readonly type: string;
  readonly attempts: number;
};

type Of = Pick<Generation, 'projection' | 'generation'>;
const ofIt = ({ projection: { name }, generation }: Of) => ({ projection: name, generation });

/** Streams that wait behind a letter, with its position. */
export async function blockedStreams(tx: Knex, of: Of): Promise<Map<string, bigint>> {
  const rows: { stream: string; position: string }[] = await tx('projection_letters')
    .where(ofIt(of))
    .select('stream', tx.raw('position::text as position'));
  return new Map(rows.map(({ stream, position }) => [stream, BigInt(position)]));
}

/**
 * Events that are left out where they cannot be applied, because somebody said so. Kept for good: whatever is made anew comes to
 * them before it comes to where that was said.
 */
export async function skippedOf(
  tx: Knex,
  { projection: { name } }: Pick<Of, 'projection'>,
): Promise<Set<string>> {
  const rows: { position: string }[] = await tx('projection_skips')
    .where({ projection: name })
    .select(tx.raw('position::text as position'));
  return new Set(rows.map(({ position }) => position));
}

export const checkpointTable = ({ role }: Pick<Generation, 'role'>) =>
  role === 'live' ? 'projection_checkpoints' : 'projection_generations';

export async function lettersOf(tx: Knex, of: Of): Promise<readonly string[]> {
  const rows: { stream: string; position: string }[] = await tx('projection_letters')
    .where(ofIt(of))
    .orderBy('stream')
    .select('stream', tx.raw('position::text as position'));
  return rows.map(({ stream, position }) => `${stream} ${position}`);
}

export const hasLetters = async (tx: Knex, of: Of): Promise<boolean> =>
  (await tx('projection_letters').where(ofIt(of)).first('stream')) !== undefined;

/** Those in which something can only be applied in its place, which has gone by. */
export async function lateShadows(sql: Knex, shadows: readonly Generation[]): Promise<readonly Generation[]> {
  const names: string[] = await sql('projection_letters')
    .where({ needs_rebuild: true })
    .whereIn(
      ['projection', 'generation'],
      shadows.map(({ projection, generation }) => [projection.name, generation]),
    )
    .pluck('projection');
  return shadows.filter(({ projection }) => names.includes(projection.name));
}

/** What a batch leaves undone: events that cannot be applied, and those that wait behind one in their stream. */
export type Undone = {
  readonly poison: Map<string, { readonly event: Recorded; readonly error: string }>;
  readonly waiting: Map<string, { count: number; last: bigint }>;
};

export const nothingUndone = (): Undone => ({ poison: new Map(), waiting: new Map() });

export function leaveWaiting({ waiting }: Undone, { stream, position }: Recorded): void {
  const before = waiting.get(stream);
  if (before === undefined) waiting.set(stream, { count: 1, last: position });
  else {
    before.count += 1;
    if (position > before.last) before.last = position;
  }
}

/** More streams are stopped than one row each is kept of. */
export class TooManyLetters extends Error {
  override readonly name = 'TooManyLetters';
  readonly of: Generation;
  constructor(of: Generation) {
    super(`${of.projection.name} cannot apply events of more than ${lettersMax} streams`);
    this.of = of;
  }
}

/** Stores what a batch has left undone. In the transaction that says the batch has been read. */
export async function writeLetters(tx: Knex, of: Generation, { poison, waiting }: Undone): Promise<void> {
  const letters = [...poison].map(([stream, { event, error }]) => ({
    ...ofIt(of),
    stream,
    position: event.position.toString(),
    revision: event.revision.toString(),
    type: event.type,
    error,
    attempts: 1,
    waiting: 0,
    last_position: event.position.toString(),
    next_try_at: tx.raw(`now() + interval '${firstTryMs} milliseconds'`),
    first_at: tx.fn.now(),
    last_at: tx.fn.now(),
  }));
  if (letters.length > lettersMax) throw new TooManyLetters(of);
  if (letters.length > 0) await tx('projection_letters').insert(letters);
  const behind = [...waiting].map(([stream, { count, last }]) => ({
    stream,
    waiting: count,
    last_position: last.toString(),
  }));
  if (behind.length > 0) {
    await tx.raw(
      `update projection_letters as l set waiting = l.waiting + v.waiting, last_position = v.last_position
       from json_populate_recordset(null::projection_letters, ?::json) as v
       where l.stream = v.stream and l.projection = ? and l.generation = ?`,
      [JSON.stringify(behind), of.projection.name, of.generation],
    );
  }
  if (letters.length > 0 && (await countLetters(tx, of)) > lettersMax) throw new TooManyLetters(of);
}

/** Says beside the checkpoint how many there are, so that nobody has to look who has none. */
async function countLetters(tx: Knex, of: Generation): Promise<number> {
  const { name } = of.projection;
  const count = Number((await tx('projection_letters').where(ofIt(of)).count('* as n').first())?.n);
  await tx(checkpointTable(of)).where({ name, generation: of.generation }).update({ letters: count });
  return count;
}

/** Those whose time has come, the longest overdue first. */
export async function dueLetters(
  sql: Knex,
  followed: readonly Generation[],
  countMax: number,
): Promise<{ readonly of: Generation; readonly letter: Letter }[]> {
  if (followed.length === 0) return [];
  const rows: (Letter & { projection: string; generation: number })[] = await sql('projection_letters')
    .whereIn(
      ['projection', 'generation'],
      followed.map(({ projection, generation }) => [projection.name, generation]),
    )
    .where('next_try_at', '<=', sql.fn.now())
    .orderBy('next_try_at')
    .limit(countMax)
    .select('projection', 'generation', ...letterColumns(sql));
  return rows.flatMap(row => {
    const of = followed.find(
      one => one.projection.name === row.projection && one.generation === row.generation,
    );
    return of === undefined ? [] : [{ of, letter: row }];
  });
}

/** The letter of a stream as it stands now; whoever holds it keeps others from it until the transaction ends. */
export async function holdLetter(tx: Knex, of: Of, stream: string): Promise<Letter | undefined> {
  const columns = letterColumns(tx);
  return tx('projection_letters')
    .where({ ...ofIt(of), stream })
    .forUpdate()
    .first(...columns);
}

const letterColumns = (sql: Knex) => [
  'stream',
  sql.raw('position::text as position'),
  sql.raw('revision::text as revision'),
  'type',
  'attempts',
];

/** What cannot be applied, and how many wait behind it where that is known. */
export type Failure = {
  readonly event: Pick<Recorded, 'position' | 'revision'> & { readonly type: string };
  readonly error: string;
  readonly waiting: number | null;
};

/** It has been tried in vain, or what came before it has been applied and it is the next that fails. */
export async function keepLetter(
  tx: Knex,
  of: Of,
  before: Letter,
  { event, error, waiting }: Failure,
): Promise<void> {
  const isSame = event.position.toString() === before.position;
  const attempts = isSame ? before.attempts + 1 : 1;
  const waitMs = Math.min(firstTryMs * 2 ** (attempts - 1), tryMsMax);
  await tx('projection_letters')
    .where({ ...ofIt(of), stream: before.stream })
    .update({
      position: event.position.toString(),
      revision: event.revision.toString(),
      type: event.type,
      error,
      attempts,
      ...(waiting === null ? {} : { waiting }),
      needs_rebuild: false,
      last_at: tx.fn.now(),
      next_try_at: attempts < attemptsMax ? tx.raw(`now() + interval '${waitMs} milliseconds'`) : null,
      ...(isSame ? {} : { first_at: tx.fn.now(), skip_reason: null }),
    });
}

export async function dropLetter(tx: Knex, of: Generation, stream: string): Promise<void> {
  await tx('projection_letters')
    .where({ ...ofIt(of), stream })
    .delete();
  await countLetters(tx, of);
}

/** It could be applied, but not behind what others have done to the same rows meanwhile: the generation is made anew. */
export async function leaveToRebuild(tx: Knex, of: Of, stream: string): Promise<void> {
  await tx('projection_letters')
    .where({ ...ofIt(of), stream })
    .update({ needs_rebuild: true, next_try_at: null, last_at: tx.fn.now() });
}
