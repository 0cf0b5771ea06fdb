/**
 * When launches were last visited, for those who put them to sleep. It changes with every request, so it is no history and
 * not in the log: a table remembers it, at most every ten seconds for each launch. What is open for long counts as a visit
 * all the while.
 */
import type { Knex } from 'knex';

const table = 'preview_activity';
const noteEveryMs = 10_000;
const lookEveryMs = 2_000;

export type Activity = {
  /** Somebody asks something of the launch now. Never rejects: a visit that is not remembered does little harm. */
  visit(launchId: string): void;
  /** Something stays open, a WebSocket or an answer that goes on. Answers the function that ends it. */
  stay(launchId: string): () => void;
  /** What was not yet written is. */
  close(): Promise<void>;
};

type Log = { warn(detail: object, line: string): void };

/** The table is made by the workers too; whoever is first makes it. */
export async function openActivity(sql: Knex, log: Log): Promise<Activity> {
  await sql.raw(`create table if not exists ${table} (
    launch_id text primary key, last_visit_at timestamptz not null, visits bigint not null default 0)`);
  const visits = new Map<string, { count: number; writtenMs: number }>();
  const open = new Map<string, number>();
  let writing: Promise<void> = Promise.resolve();

  const write = (ids: readonly string[]): void => {
    const rows = ids.map(id => ({ id, count: visits.get(id)?.count ?? 0 }));
    const nowMs = performance.now();
    for (const id of ids) {
      visits.delete(id);
      visits.set(id, { count: 0, writtenMs: nowMs });
    }
    writing = writing
      .then(() =>
        sql.raw(
          `insert into ${table} as a (launch_id, last_visit_at, visits)
           select id, now(), count from json_to_recordset(?::json) as v (id text, count bigint) order by id
           on conflict (launch_id) do update
           set last_visit_at = greatest(a.last_visit_at, excluded.last_visit_at), visits = a.visits + excluded.visits`,
          [JSON.stringify(rows)],
        ),
      )
      .then(
        () => undefined,
        error => log.warn({ err: error }, 'visits were not noted'),
      );
  };

  /** What was written not long ago waits, so that each launch is written once in a while only. */
  const due = (beforeMs: number): readonly string[] => {
    const isDue = (id: string) => (visits.get(id)?.writtenMs ?? Number.NEGATIVE_INFINITY) <= beforeMs;
    const ids = [...open.keys()].filter(isDue);
    for (const [id, { count }] of visits) if (count > 0 && isDue(id) && !open.has(id)) ids.push(id);
    return ids;
  };
  const round = () => {
    const beforeMs = performance.now() - noteEveryMs;
    const ids = due(beforeMs);
    if (ids.length > 0) write(ids);
    for (const [id, { count, writtenMs }] of visits)
      if (count === 0 && writtenMs <= beforeMs) visits.delete(id);
  };
  const timer = setInterval(round, lookEveryMs).unref();

  return {
    visit(launchId) {
      const known = visits.get(launchId);
      if (known !== undefined) {
        known.count += 1;
        return;
      }
      // The first one after a while is written at once: somebody may be about to put the launch to sleep.
      visits.set(launchId, { count: 1, writtenMs: Number.NEGATIVE_INFINITY });
      write([launchId]);
    },
    stay(launchId) {
      open.set(launchId, (open.get(launchId) ?? 0) + 1);
      let isOver = false;
      return () => {
        if (isOver) return;
        isOver = true;
        const left = (open.get(launchId) ?? 1) - 1;
        if (left === 0) open.delete(launchId);
        else open.set(launchId, left);
      };
    },
    async close() {
      clearInterval(timer);
      const ids = due(Number.POSITIVE_INFINITY);
      if (ids.length > 0) write(ids);
      await writing;
    },
  };
}
