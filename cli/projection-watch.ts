/** Looks after the projections and makes events of what somebody has to know: dead letters, and one that is too far behind. */
import { systemClock } from '../commands/clock.ts';
import { execute } from '../commands/execute.ts';
import { deadLetters } from '../domain/platform/dead-letter.ts';
import { projectionLags } from '../domain/platform/projection-lag.ts';
import type { EventStore } from '../eventstore/store.ts';
import type { Log } from '../platform/log.ts';
import type { openPostgres } from '../platform/postgres.ts';
import { isTooFar, type LagLimits, openLags } from '../platform/projection-lag.ts';
import { dropLeftovers } from '../projections/gate.ts';

const lettersMs = 1_000;
const lagMs = 10_000;
/** What a check of an upgrade has left that was killed. */
const leftoversMs = 60_000;
const lettersMax = 1_000;
/** What PostgreSQL says of a table that is not there. */
const missingTable = '42P01';

type Deps = {
  readonly sql: ReturnType<typeof openPostgres>;
  readonly store: EventStore;
  readonly limits: LagLimits;
  readonly log: Log;
  readonly signal: AbortSignal;
};

/** Runs until the signal aborts. What is told is compared with what was told, so a start tells nothing twice. */
export async function watchProjections(deps: Deps): Promise<void> {
  const { sql, store, limits, log, signal } = deps;
  const lags = openLags(sql, store);
  const toldLetters = new Map<string, string>();
  const toldLags = new Map<string, boolean>();
  let [lagDue, leftoversDue] = [0, performance.now() + leftoversMs];
  while (!signal.aborted) {
    try {
      await tellLetters(deps, toldLetters);
      if (performance.now() >= leftoversDue) {
        leftoversDue = performance.now() + leftoversMs;
        await dropLeftovers(sql);
      }
      if (performance.now() >= lagDue) {
        lagDue = performance.now() + lagMs;
        for (const lag of await lags.now()) {
          const isFar = isTooFar(lag, limits);
          if (toldLags.get(lag.name) === isFar) continue;
          const { name: projection, lagEvents, lagSeconds } = lag;
          const data = { projection, lagEvents, lagSeconds: Math.round(lagSeconds), at: systemClock.now() };
          const command = { type: 'ReportProjectionLag', data: { ...data, isTooFar: isFar } } as const;
          await execute(store, projectionLags, projection, command, metadataAt(data.at));
          toldLags.set(projection, isFar);
        }
      }
    } catch (error) {
      if (signal.aborted) return;
      // Before the first start has made the tables there is nothing to look after.
      if (!isMissing(error))
        log.warn({ err: error }, 'the projections could not be looked after; trying again');
    }
    await pause(lettersMs, signal);
  }
}

const isMissing = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === missingTable;

/** Of what is read; tables beside it are nobody's business yet. */
async function tellLetters({ sql, store, log }: Deps, told: Map<string, string>): Promise<void> {
  const names: string[] = await sql('projection_checkpoints').pluck('name');
  const { rows } = await sql.raw(
    `select l.projection, l.stream, l.position::text as position, l.type, l.error from projection_letters l
     join projection_checkpoints c on c.name = l.projection and c.generation = l.generation
     order by l.position limit ?`,
    [lettersMax],
  );
  const byName = Map.groupBy(
    rows as { projection: string; stream: string; position: string; type: string; error: string }[],
    row => row.projection,
  );
  for (const projection of names) {
    const letters = (byName.get(projection) ?? []).map(({ stream, position, type, error }) => ({
      stream,
      position,
      eventType: type,
      error,
    }));
    const places = letters.map(({ position }) => position).join();
    if (told.get(projection) === places) continue;
    const at = systemClock.now();
    const command = { type: 'ReportDeadLetters', data: { projection, letters, at } } as const;
    const { changed } = await execute(store, deadLetters, projection, command, metadataAt(at));
    if (changed && letters.length > 0)
      log.error({ projection, letters: letters.length, first: letters[0] }, 'events cannot be applied');
    told.set(projection, places);
  }
}

function metadataAt(time: string) {
  const id = systemClock.newId();
  return { actor: 'projections', correlationId: id, causationId: id, time };
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    if (signal.aborted) return resolve();
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => [clearTimeout(timer), resolve()], { once: true });
  });
}
