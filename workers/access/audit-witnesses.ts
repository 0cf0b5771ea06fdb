/**
 * Hands what was published to the witnesses, each at its own pace. How far each has been brought is in the database, what there
 * is to hand over too, and in files besides; so whatever dies in between, the next start hands over what is left.
 */
import type { Knex } from 'knex';
import type { Clock } from '../../commands/clock.ts';
import { faultPoint } from '../../platform/fault.ts';
import type { Checkpoint } from '../../platform/proof/checkpoint.ts';
import { parseCheckpoint } from '../../platform/proof/checkpoint.ts';
import { provesConsistency } from '../../platform/proof/merkle.ts';
import { type TreeReader, treeReader } from '../../platform/proof/tree-reader.ts';
import { createTreeTables } from '../../platform/proof/tree-tables.ts';
import { pause } from '../inline-queue.ts';
import type { QueueLog } from '../queue.ts';
import { type Alarm, openAlarm } from './alarm.ts';
import { Forked, type Handed, type Handing, type Witness } from './witness.ts';

const checkpointsMax = 1_000;
const handMsMax = 120_000;
/** Each takes two connections to the database while it lasts. */
const atOnceMax = 3;
const retryMsMin = 1_000;
const retryMsMax = 300_000;
/** Another process may have published something. */
const lookEveryMs = 5_000;
const problemCharsMax = 300;

export type WitnessesDeps = {
  readonly sql: Knex;
  readonly clock: Clock;
  readonly witnesses: readonly Witness[];
  readonly log: QueueLog;
  readonly signal: AbortSignal;
  /** How long to wait after something went wrong, in a test. */
  readonly retryMs?: number;
};

export type Witnesses = {
  /** There is something new. */
  published(): void;
  /** Resolves once the signal has aborted and nobody is being asked any more. */
  readonly ended: Promise<void>;
};

export function keepWitnesses(deps: WitnessesDeps): Witnesses {
  const alarms = deps.witnesses.map(() => openAlarm());
  const turns = openTurns(atOnceMax);
  const running = prepare(deps).then(() =>
    Promise.all(deps.witnesses.map((witness, at) => keepOne(deps, witness, alarms[at] as Alarm, turns))),
  );
  const wake = () => {
    for (const alarm of alarms) alarm.ring();
  };
  deps.signal.addEventListener('abort', wake, { once: true });
  return {
    published: wake,
    ended: running.then(() => {
      for (const alarm of alarms) alarm.close();
    }),
  };
}

/** Who is not named any more is forgotten, with what went wrong with him. */
async function prepare({ sql, witnesses, log, signal }: WitnessesDeps): Promise<void> {
  while (!signal.aborted) {
    try {
      await createTreeTables(sql);
      await sql('audit_witnesses')
        .whereNotIn(
          'name',
          witnesses.map(({ name }) => name),
        )
        .delete();
      return;
    } catch (error) {
      log.warn({ err: error }, 'the witnesses cannot be looked up; trying again');
      await pause(retryMsMin, signal);
    }
  }
}

type Turns = { take<T>(work: () => Promise<T>): Promise<T> };

/** So many at once, the others in the order they came. */
function openTurns(count: number): Turns {
  let free = count;
  const waiting: (() => void)[] = [];
  return {
    async take(work) {
      if (free > 0) free -= 1;
      else await new Promise<void>(resolve => waiting.push(resolve));
      try {
        return await work();
      } finally {
        const next = waiting.shift();
        if (next === undefined) free += 1;
        else next();
      }
    },
  };
}

async function keepOne(deps: WitnessesDeps, witness: Witness, alarm: Alarm, turns: Turns): Promise<void> {
  const { log, signal, retryMs: first = retryMsMin } = deps;
  let retryMs = first;
  while (!signal.aborted) {
    let waitMs = Math.max(lookEveryMs, witness.everySeconds * 1_000);
    try {
      const round = await turns.take(() => oneRound(deps, witness));
      retryMs = first;
      if (round === 'more') continue;
    } catch (error) {
      if (signal.aborted) return;
      waitMs = retryMs;
      retryMs = Math.min(retryMs * 2, retryMsMax);
      log.warn({ err: error, witness: witness.name, waitMs }, 'a witness could not be handed a checkpoint');
      await noteProblem(deps, witness, error).catch(() => undefined);
      await pause(waitMs, signal);
      continue;
    }
    // Who wants them in groups is not woken by each.
    if (witness.everySeconds > 0) await pause(waitMs, signal);
    else await alarm.after(waitMs);
  }
}

type Row = { origin: string; size: number };

/** One process at a time speaks to a witness: the lock goes with its connection. */
async function oneRound(deps: WitnessesDeps, witness: Witness): Promise<'more' | 'done'> {
  const { sql } = deps;
  return sql.transaction(async tx => {
    const { rows } = await tx.raw(
      `select pg_try_advisory_xact_lock(hashtext('audit witness'), hashtext(?)) as mine`,
      [witness.name],
    );
    if (rows[0].mine !== true) return 'done';
    const origin: string | undefined = (await sql('audit_heads').orderBy('at', 'desc').first('origin'))
      ?.origin;
    if (origin === undefined) return 'done';
    const row: Row | undefined = await sql('audit_witnesses')
      .where({ name: witness.name })
      .first('origin', 'size');
    const size = row?.origin === origin ? row.size : 0;
    const checkpoints = await published(sql, origin, size);
    if (row === undefined || row.origin !== origin) await noteSize(deps, witness, origin, 0);
    if (checkpoints.length === 0) return 'done';
    const handed = await handOver(deps, witness, { origin, size, checkpoints });
    faultPoint('audit.witness-handed');
    if (handed.cosigned !== undefined) await keepCosignature(deps, witness, handed.cosigned);
    await noteSize(deps, witness, origin, handed.size);
    const newest = checkpoints.at(-1)?.size ?? 0;
    return handed.size < newest || checkpoints.length === checkpointsMax ? 'more' : 'done';
  });
}

async function published(sql: Knex, origin: string, from: number): Promise<readonly Checkpoint[]> {
  const notes: string[] = await sql('audit_checkpoints')
    .where({ origin })
    .where('size', '>', from)
    .orderBy('size')
    .limit(checkpointsMax)
    .pluck('note');
  return notes.map(parseCheckpoint);
}

type Due = { readonly origin: string; readonly size: number; readonly checkpoints: readonly Checkpoint[] };

async function handOver(
  { sql, signal }: WitnessesDeps,
  witness: Witness,
  { origin, size, checkpoints }: Due,
): Promise<Handed> {
  const reader = treeReader(sql);
  const newest = checkpoints.at(-1) as Checkpoint;
  const lastNote = await sql('audit_checkpoints').where({ origin, size }).first('note');
  const handing: Handing = {
    origin,
    checkpoints,
    last: lastNote === undefined ? undefined : parseCheckpoint(lastNote.note),
    async beyond(held) {
      if (held === undefined) return checkpoints;
      await requireGoesOn(reader, held, newest);
      return checkpoints.filter(one => one.size > held.size);
    },
    consistency: async (from, to) => reader.consistency(await stateOf(reader), from, to),
    signal: AbortSignal.any([signal, AbortSignal.timeout(handMsMax)]),
  };
  const handed = await witness.hand(handing);
  // A witness that has more than it was ever handed here was handed it by a process that died before it could say so.
  return { ...handed, size: Math.max(size, Math.min(handed.size, newest.size)) };
}

async function stateOf(reader: TreeReader) {
  const state = await reader.state();
  if (state === undefined) throw new Error('There is no tree');
  return state;
}

/** The newest has to prove that it goes on from what the witness has. */
async function requireGoesOn(
  reader: TreeReader,
  held: Pick<Checkpoint, 'size' | 'root'>,
  newest: Checkpoint,
): Promise<void> {
  if (held.size > newest.size)
    throw new Forked(`It has a checkpoint of ${held.size} events, and the newest here is of ${newest.size}`);
  const proof = await reader.consistency(await stateOf(reader), held.size, newest.size);
  if (!provesConsistency(proof, held, newest))
    throw new Forked(`It has a checkpoint of another history of ${held.size} events`);
}

async function keepCosignature(
  { sql, clock }: WitnessesDeps,
  { name }: Witness,
  { checkpoint, lines }: NonNullable<Handed['cosigned']>,
): Promise<void> {
  const { origin, size } = checkpoint;
  const line = lines
    .map(one => {
      const bytes = Buffer.concat([Buffer.from(one.id, 'hex'), one.bytes]);
      return `— ${one.name} ${bytes.toString('base64')}\n`;
    })
    .join('');
  await sql('audit_cosignatures')
    .insert({ origin, size, witness: name, line, at: clock.now() })
    .onConflict(['origin', 'size', 'witness'])
    .merge();
}

async function noteSize(
  { sql, clock }: WitnessesDeps,
  { name, kind }: Witness,
  origin: string,
  size: number,
) {
  const seenAt = size === 0 ? null : clock.now();
  await sql('audit_witnesses')
    .insert({ name, kind, origin, size, seen_at: seenAt, problem: null, failing_since: null })
    .onConflict('name')
    .merge();
}

async function noteProblem(
  { sql, clock }: WitnessesDeps,
  { name, kind }: Witness,
  error: unknown,
): Promise<void> {
  const said = error instanceof Error ? error.message : String(error);
  const problem = said.slice(0, problemCharsMax);
  await sql('audit_witnesses')
    .insert({ name, kind, origin: '', size: 0, problem, failing_since: clock.now() })
    .onConflict('name')
    .merge({
      kind,
      problem,
      failing_since: sql.raw('coalesce(audit_witnesses.failing_since, excluded.failing_since)'),
    });
}
