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
  });
}
