/**
 * A projector as a process of its own that is killed at a query:
 * `node poisoned-child.ts <database> <log> <to> <mended> <killAt>`. Ends with the number of its queries on standard output once
 * everything up to `to` is there, and when mended nothing waits.
 */
import { openLog } from '../../eventstore/esdb.ts';
import { openPostgres } from '../../platform/postgres.ts';
import { project } from '../../projections/projector.ts';
import { type Fault, tried, triedName } from './tried-projection.ts';

const [database = '', log = '', to = '0', mended = 'no', killAt = '0'] = process.argv.slice(2);
const sql = openPostgres(database);
const { store } = openLog(log);
const queriesMax = Number(killAt);
let queries = 0;
sql.on('query', ({ sql: text }: { sql: string }) => {
  if (text.includes('/* watch */')) return;
  queries += 1;
  if (queries === queriesMax) process.kill(process.pid, 'SIGKILL');
});

const faultOf = (word: string): Fault => {
  if (mended === 'yes') return 'none';
  return word.startsWith('throw') ? 'throws' : word.startsWith('refuse') ? 'refused' : 'none';
};
const projection = tried(
  {
    of: ({ data }) => faultOf('changes' in data ? `${(data.changes as { name?: string }).name}` : ''),
  },
  { shares: true },
);
const signal = new AbortController().signal;
const quiet = {
  info: () => undefined,
  error: (detail: object) => void process.stderr.write(`${(detail as { err: Error }).err}\n`),
};
void project(sql, store, [projection], { signal, log: quiet, lookMs: 20 });

for (;;) {
  await new Promise(resolve => setTimeout(resolve, 10));
  const found = await sql
    .raw('/* watch */ select position, letters from projection_checkpoints where name = ?', [triedName])
    .then(
      ({ rows }) => rows[0],
      () => undefined,
    );
  const isThere = Number(found?.position ?? -1) >= Number(to) && (mended !== 'yes' || found.letters === 0);
  if (!isThere) continue;
  process.stdout.write(`${queries}\n`);
  process.exit(0);
}
