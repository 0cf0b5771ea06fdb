/** The door to PostgreSQL: one pool a process, with values as the rest of the platform wants them. */
import knex, { type Knex } from 'knex';
import pg from 'pg';

const connectionsMaxDefault = 10;
const acquireMsMax = 10_000;
const statementMsMax = 30_000;

const timestamptz = 1184;
const bigint = 20;

/** RFC 3339 in UTC for times; numbers for counts, which stay far below 2^53 here. Positions are cast to text in the query. */
const typeOf = (oid: number): ((text: string) => unknown) | undefined => {
  if (oid === timestamptz) return text => new Date(text).toISOString();
  if (oid === bigint) return Number;
  return undefined;
};

export type PostgresOptions = { readonly connectionsMax?: number; readonly name?: string };

/** Nothing is connected until the first query. A statement that runs for more than 30 s is ended by the server. */
export function openPostgres(connectionString: string, options: PostgresOptions = {}): Knex {
  return knex({
    client: 'pg',
    connection: {
      connectionString,
      application_name: options.name ?? 'apphub',
      statement_timeout: statementMsMax,
      types: {
        getTypeParser: (oid: number, format?: unknown) =>
          (format === 'binary' ? undefined : typeOf(oid)) ?? pg.types.getTypeParser(oid, format as 'text'),
      },
    } as Knex.PgConnectionConfig,
    pool: { min: 0, max: options.connectionsMax ?? connectionsMaxDefault },
    acquireConnectionTimeout: acquireMsMax,
    // Whoever asked gets the same as an error, and says it in the log of the process.
    log: { warn: () => undefined, error: () => undefined },
  });
}

/** Of the network, and of PostgreSQL (its appendix A): class 08, too many connections, shutting or starting up, a time limit. */
const awayCodes =
  /^(?:ECONNREFUSED|ECONNRESET|EPIPE|ETIMEDOUT|ENOENT|ENOTFOUND|08...|53300|57P0[123]|57014)$/;

/** Whether a query failed because the database cannot answer just now, so that the same one may succeed later. */
export function isDatabaseAway(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (error.name === 'KnexTimeoutError' || error.message === 'Connection terminated unexpectedly')
    return true;
  const isOfDatabase = error instanceof pg.DatabaseError || 'syscall' in error;
  return isOfDatabase && 'code' in error && awayCodes.test(String(error.code));
}
