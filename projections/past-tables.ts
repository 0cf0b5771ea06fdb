/**
 * The tables of time travel. For each table of a projection there is one of row versions, each with the position of the event
 * that made it and of the one that ended it. A table of the same name beside it holds the rows as they are at the end, is folded
 * an event at a time, and its triggers write down what changes: also what the projection's own triggers do.
 * Views in a schema of their own show the rows of one position, so a query for today's tables answers for that day.
 */
import type { Knex } from 'knex';
import { beginAnew, createStopped, forgetStopped, mendedOf, stoppedOf } from './past-mended.ts';
import type { Projection } from './projection.ts';

/** Search for tables here, and they are as they were after the event at `apphub.as_of`. Nothing else is in it. */
export const asOfSchema = 'as_of';

/** The column in which a row of a table that is folded says of which event it is. */
export const rowAt = 'past_at';

/** The position up to which a version holds that nothing has ended. */
const forEver = '9223372036854775807';

export type Kept = {
  readonly projection: Projection;
  readonly schema: string;
  /** Whether its own triggers change or read other rows than those that an event names. */
  readonly reachesOut: boolean;
  /** Streams with an event that could not be applied: what comes later in them is left out, as in the live tables. */
  readonly stopped: Set<string>;
  /** Up to where it holds the log; null: nothing yet. Moves on as it is followed. */
  position: bigint | null;
};

export const pastSchemaOf = ({ name }: Pick<Projection, 'name'>) => `past_${name}`;

/** Makes what is not there yet, and empties what a new version of the code has to fill anew. */
export async function openPast(sql: Knex, projections: readonly Projection[]): Promise<Kept[]> {
  return sql.transaction(async tx => {
    await tx.raw(`select pg_advisory_xact_lock(hashtext('past'))`);
    await tx.raw(bookkeeping);
    await createStopped(tx);
    await beginAnew(tx, await mendedOf(tx));
    const names = projections.map(({ name }) => name);
    const gone: string[] = await tx('past_checkpoints').whereNotIn('name', names).delete().returning('name');
    for (const row of gone as unknown as { name: string }[])
      await tx.raw('drop schema if exists ?? cascade', [pastSchemaOf(row)]);
    const kept: Kept[] = [];
    for (const projection of projections) kept.push(await openOne(tx, projection));
    return kept;
  });
}

/**
 * `past_moments` tells when the log was where: for each millisecond in which something was stored, the last of it. Times never
 * go back in it, whatever the clock of the log did.
 */
const bookkeeping = `
  create schema if not exists ${asOfSchema};
  create table if not exists past_checkpoints (
    name text primary key, version integer not null, position bigint, reaches_out boolean not null,
    ahead_ms bigint not null default 0);
  create table if not exists past_moments (at timestamptz primary key, position bigint not null);
  create unique index if not exists past_moments_position on past_moments (position)`;

async function openOne(tx: Knex, projection: Projection): Promise<Kept> {
  const { name, version } = projection;
  const schema = pastSchemaOf(projection);
  const row = await tx('past_checkpoints')
    .where({ name, version })
    .first('reaches_out', tx.raw('position::text as position'));
  if (row !== undefined) {
    const position = row.position === null ? null : BigInt(row.position);
    return {
      projection,
      schema,
      position,
      reachesOut: row.reaches_out,
      stopped: await stoppedOf(tx, projection),
    };
  }
  await forgetStopped(tx, projection);
  await tx.raw('drop schema if exists ?? cascade', [schema]);
  await tx.raw('create schema ??', [schema]);
  await tx.raw('set local search_path to ??, public', [schema]);
  await projection.createTables(tx.schema);
  const { rows: own } = await tx.raw(
    `select 1 from pg_trigger t join pg_class c on c.oid = t.tgrelid where c.relnamespace = quote_ident(?)::regnamespace`,
    [schema],
  );
  const reachesOut = own.length > 0;
  for (const table of Object.keys(projection.tables)) await keepVersions(tx, projection, schema, table);
  await tx.raw('set local search_path to public');
  const fresh = { name, version, position: null, ahead_ms: 0, reaches_out: reachesOut };
  await tx('past_checkpoints').insert(fresh).onConflict('name').merge();
  return { projection, schema, position: null, reachesOut, stopped: new Set() };
}

async function keepVersions(tx: Knex, projection: Projection, schema: string, table: string): Promise<void> {
  const keys = projection.tables[table] ?? [];
  if (projection.isWrittenOnce === true) {
    await tx.raw(
      `create view ${asOfSchema}.:table: as select * from :schema:.:table: where position <= ${asOf}`,
      {
        schema,
        table,
      },
    );
    return;
  }
  const versions = `past_${table}`;
  const q = (name: string) => `"${name.replaceAll('"', '""')}"`;
  const to = `${q(schema)}.${q(versions)}`;
  await tx.raw(`create table ${to} (like ${q(schema)}.${q(table)})`);
  await tx.raw(`alter table ${to} add column from_at bigint not null, add column to_at bigint not null`);
  await tx.raw(`create unique index on ${to} (${[...keys, 'to_at'].map(q).join(', ')})`);
  await moveIndexes(tx, schema, table, to);
  const { rows: columns } = await tx.raw(
    `select attname as name from pg_attribute where attrelid = ?::regclass and attnum > 0 and not attisdropped
     order by attnum`,
    [`${q(schema)}.${q(table)}`],
  );
  const list = columns.map(({ name }: { name: string }) => q(name)).join(', ');
  const born = projection.madeAt?.[table];
  await tx.raw(`create view ${asOfSchema}.${q(table)} as select ${list} from ${to}
    where from_at <= ${asOf} and to_at > ${asOf}${born === undefined ? '' : ` and ${q(born)} <= ${until}`}`);
  await tx.raw(`alter table ${q(schema)}.${q(table)} add column ${rowAt} bigint`);
  const isIt = keys.map(key => `v.${q(key)} = old.${q(key)}`).join(' and ');
  await tx.raw(`
    create function ${q(schema)}.${q(`keep_${table}`)}() returns trigger language plpgsql as $$
    declare
      here bigint := nullif(current_setting('apphub.at'), '')::bigint;
    begin
      here := coalesce(here, case when tg_op = 'DELETE' then old.${rowAt} else new.${rowAt} end);
      if tg_op = 'UPDATE' then
        old.${rowAt} := new.${rowAt};
        if old is not distinct from new then
          return null;
        end if;
      end if;
      if tg_op <> 'INSERT' then
        -- What one event makes and changes again was never to be seen.
        delete from ${to} v where ${isIt} and v.to_at = ${forEver} and v.from_at = here;
        if not found then
          update ${to} v set to_at = here where ${isIt} and v.to_at = ${forEver};
        end if;
      end if;
      if tg_op <> 'DELETE' then
        insert into ${to} values (${list.replace(/(^|, )/g, '$1new.')}, here, ${forEver});
      end if;
      return null;
    end $$;
    create trigger kept after insert or update or delete on ${q(schema)}.${q(table)}
      for each row execute function ${q(schema)}.${q(`keep_${table}`)}()`);
}

/** Asked once a query, not once a row. */
const asOf = `(select current_setting('apphub.as_of')::bigint)`;
/** No row of that day says that it was made later than this, whatever the clocks were. So what came later is not looked at. */
const until = `(select current_setting('apphub.as_of_until')::timestamptz)`;

/** What today's queries are served by serves those for another day. Folding needs no more than the primary key. */
async function moveIndexes(tx: Knex, schema: string, table: string, to: string): Promise<void> {
  const { rows } = await tx.raw(
    `select indexrelid::regclass::text as name, pg_get_indexdef(indexrelid) as definition, indisprimary as is_key
     from pg_index where indrelid = (quote_ident(?) || '.' || quote_ident(?))::regclass`,
    [schema, table],
  );
  for (const { name, definition, is_key: isKey } of rows) {
    if (isKey) continue;
    await tx.raw(
      definition.replace(/^CREATE (?:UNIQUE )?INDEX .*? ON .*? USING /, `CREATE INDEX ON ${to} USING `),
    );
    await tx.raw(`drop index ${name}`);
  }
}
