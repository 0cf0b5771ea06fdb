/**
 * Watches the live tables for silent damage. A second fold of the log, in tables of its own, is held against them range by range,
 * each time with both at one position of the log; a row that differs is folded a third time from its own streams, which says
 * which side is wrong. It works a small part of the time only, so what it costs is bounded, and what it finds comes later on a
 * busy machine.
 */
import type { Knex } from 'knex';
import type { EventStore } from '../eventstore/store.ts';
import { openComparison, type Place } from './audit-look.ts';
import { type Report, settle, type Tally } from './audit-settle.ts';
import { forgetShadow, openShadows } from './audit-tables.ts';
import type { Generation } from './generation.ts';
import { lateShadows } from './letters.ts';
import type { Projection } from './projection.ts';
import type { ProjectorLog } from './projector.ts';
import { repair } from './repair.ts';
import { retryDue } from './retry.ts';
import { advance } from './shadow.ts';
import { livesOf } from './snapshot.ts';

const eventsMax = 2_000;
const idleMs = 1_000;
const lookEveryMs = 100;
const retryMs = 5_000;

export type SelfAuditDeps = {
  readonly sql: Knex;
  readonly store: EventStore;
  readonly projections: readonly Projection[];
  /** The part of the time that it works at most, in percent. */
  readonly percent: number;
  /** From the beginning of one look at everything to that of the next, where there is time enough. */
  readonly everySeconds: number;
  readonly report: Report;
  readonly log: ProjectorLog;
  readonly signal: AbortSignal;
};

/** Runs until the signal aborts. What goes wrong is logged and begun again. */
export async function selfAudit(deps: SelfAuditDeps): Promise<void> {
  const { log, signal } = deps;
  while (!signal.aborted) {
    try {
      await watch(deps);
    } catch (error) {
      if (signal.aborted) return;
      log.error({ err: error }, 'the self-audit stopped; it begins again');
      await pause(retryMs, signal);
    }
  }
}

async function watch(deps: SelfAuditDeps): Promise<void> {
  const { sql, projections, percent, everySeconds, signal } = deps;
  if (!(await areThere(sql))) return pause(lookEveryMs, signal);
  const audit = openAudit(deps, await openShadows(sql, projections));
  let begun = performance.now();
  while (!signal.aborted) {
    const from = performance.now();
    const ended = await audit.step();
    const now = performance.now();
    await pause((now - from) * (100 / percent - 1), signal);
    if (ended === 'again') return;
    if (ended === 'more') continue;
    const until = begun + everySeconds * 1_000;
    while (!signal.aborted && performance.now() < until && !(await audit.isWanted()))
      await pause(Math.min(idleMs, Math.max(1, until - performance.now())), signal);
    begun = performance.now();
  }
}

function openAudit(deps: SelfAuditDeps, shadows: readonly Generation[]) {
  const { sql, store, signal } = deps;
  const comparison = openComparison(deps, shadows);
  /** Where the round is: this projection, its table, and behind this key. */
  let [at, place]: [number, Place] = [0, { table: 0, from: null }];
  let tallies = new Map<string, Tally>();
  const isReported = new Set<string>();

  /** Answers whether the shadows are where the live projections are, or nearly so. */
  const fill = async (): Promise<boolean> => {
    const lives = await livesOf(sql);
    for (const position of new Set([...lives.values()].map(live => live.position))) {
      const there = shadows.filter(one => lives.get(one.projection.name)?.position === position);
      if (!(await advance(sql, store, there, position, { eventsMax, signal }))) return false;
    }
    return true;
  };

  const mend = async (): Promise<void> => {
    for (const { name, rows, wrong } of await wantedRepairs(sql)) {
      const shadow = shadows.find(({ projection }) => projection.name === name);
      const live = (await livesOf(sql)).get(name);
      if (shadow === undefined || live === undefined) continue;
      const mended = await repair(deps, shadow, live.schema, wrong > rows);
      if (mended === undefined || mended.problem !== null) continue;
      const position = mended.position.toString();
      await deps.report.repaired({ projection: name, position, rows: mended.rows, how: 'refolded' });
    }
  };

  /** What the shadows could not apply. Answers whether one has to be made anew for it. */
  const tend = async (): Promise<boolean> => {
    await retryDue(deps, shadows, { onBegun: () => undefined, onApplied: async () => undefined });
    const lives = await livesOf(sql);
    const late = await lateShadows(sql, shadows);
    const lost = late.filter(({ projection }) => lives.has(projection.name));
    for (const { projection } of lost) await forgetShadow(sql, projection);
    return lost.length > 0;
  };

  const next = () => {
    [at, place] = [at + 1, { table: 0, from: null }];
    tallies = new Map();
    if (at < shadows.length) return 'more';
    at = 0;
    return 'round';
  };

  return {
    isWanted: async () => (await wantedRepairs(sql)).length > 0,
    /** A short piece of work. `more`: there is more to do; `again`: a shadow has to be made anew; `round`: all was seen. */
    async step(): Promise<'more' | 'again' | 'round'> {
      if (!(await fill())) return 'more';
      if (await tend()) return 'again';
      await mend();
      const shadow = shadows[at];
      if (shadow === undefined) return 'round';
      const seen = await comparison.look(shadow, place);
      if (seen === undefined) return next();
      await comparison.compare(shadow, seen, tallies);
      place = seen.next;
      if (!seen.isLast) return 'more';
      const isFirst = !isReported.has(shadow.projection.name);
      const means = { bring: comparison.bring, isFirst };
      const isSound = await settle(deps, shadow, [...tallies.values()], means);
      isReported.add(shadow.projection.name);
      return isSound ? next() : 'again';
    },
  };
}

/** The projector makes them, perhaps in another process that has just been started. */
async function areThere(sql: Knex): Promise<boolean> {
  const { rows } = await sql.raw(`select to_regclass('projection_audits') is not null as "isThere"`);
  return rows[0].isThere;
}

async function wantedRepairs(sql: Knex) {
  const { rows } = await sql.raw(
    `select a.name, a.wrong_rows as wrong, (select count(*) from projection_divergences d where d.name = a.name) as rows
     from projection_audits a where a.repair_wanted`,
  );
  return rows as readonly { name: string; wrong: number; rows: number }[];
}

const pause = (ms: number, signal: AbortSignal) =>
  new Promise<void>(resolve => {
    if (ms <= 0 || signal.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done);
  });
