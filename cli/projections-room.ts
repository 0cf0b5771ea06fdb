/** Puts together what keeps the tables: the projector, the past, the self-audit, and who tells what is wrong in events. */
import { systemClock } from '../commands/clock.ts';
import { execute } from '../commands/execute.ts';
import { type ProjectionCommand, projectionRequests } from '../domain/platform/projection.ts';
import type { EventStore } from '../eventstore/store.ts';
import type { Config } from '../platform/config.ts';
import type { Log } from '../platform/log.ts';
import type { openPostgres } from '../platform/postgres.ts';
import type { Report } from '../projections/audit-settle.ts';
import { projections } from '../projections/index.ts';
import { keepPast } from '../projections/past.ts';
import { project } from '../projections/projector.ts';
import { selfAudit } from '../projections/self-audit.ts';
import { watchProjections } from './projection-watch.ts';

type Options = Pick<Config, 'audit' | 'timeTravel'> & { readonly log: Log };
type Parts = { readonly sql: ReturnType<typeof openPostgres>; readonly store: EventStore };

/** All run until they are closed. */
export function openProjections(
  { audit, timeTravel, log }: Options,
  { sql, store }: Parts,
): { close(): Promise<void> } {
  const stop = new AbortController();
  const deps = { sql, store, projections, log, signal: stop.signal };
  const runs = [
    project(sql, store, projections, deps),
    watchProjections({ sql, store, limits: audit.alerts, log, signal: stop.signal }),
  ];
  if (timeTravel) runs.push(keepPast(sql, store, projections, deps));
  if (audit.selfPercent > 0) {
    const report = reportTo(store);
    runs.push(selfAudit({ ...deps, report, percent: audit.selfPercent, everySeconds: audit.selfSeconds }));
  }
  return {
    async close() {
      stop.abort();
      await Promise.all(runs);
    },
  };
}

function reportTo(store: EventStore): Report {
  const say = async (command: ProjectionCommand) => {
    const id = systemClock.newId();
    const metadata = { actor: 'self-audit', correlationId: id, causationId: id, time: command.data.at };
    await execute(store, projectionRequests, command.data.projection, command, metadata);
  };
  return {
    diverged: found => say({ type: 'ReportProjectionDiverged', data: { ...found, at: systemClock.now() } }),
    repaired: found => say({ type: 'ReportProjectionRepaired', data: { ...found, at: systemClock.now() } }),
  };
}
