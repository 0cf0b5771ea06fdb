/** A process of its own that keeps the past, for tests that kill it: `past-process.ts <database> <log>`. */
import { openLog } from '../../eventstore/esdb.ts';
import { openPostgres } from '../../platform/postgres.ts';
import { projections } from '../../projections/index.ts';
import { keepPast } from '../../projections/past.ts';

const [databaseUrl = '', eventstoreUrl = ''] = process.argv.slice(2);
const { signal } = new AbortController();
const log = { error: (detail: object) => console.error(detail) };
await keepPast(openPostgres(databaseUrl), openLog(eventstoreUrl).store, projections, { signal, log });
