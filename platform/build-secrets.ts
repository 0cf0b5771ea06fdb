/**
 * The values of build secrets: in a table beside the projections, each sealed for the key it is under. The log names the key and
 * nothing else, so a dump of the log and the database holds no value without the file or the setting that has the sealing key.
 *
 * A value is kept before the log tells of its key, and erased after the log has: whoever dies in between leaves a value that
 * nobody is given any more, which `unnamed` finds.
 */
import type { Knex } from 'knex';
import { openSeal } from './sealed.ts';

const table = 'build_secret_values';
/** Of 32 KiB in JSON, sealed and in base64. */
const sealedCharsMax = 512 * 1024;
const rowsMax = 1_000;

type Owner = { readonly appId: string; readonly name: string };

export type BuildSecrets = {
  /** The value is kept once this resolves. Under a key that is known the value there stays. */
  keep(key: string, value: string, owner: Owner): Promise<void>;
  /** Undefined where it was erased or lost, and where it was sealed by another installation's key. */
  read(key: string): Promise<string | undefined>;
  erase(key: string): Promise<void>;
  /** Keys that have been kept for `secondsMin` and that no table names, with whose they were meant to be. */
  unnamed(secondsMin: number): Promise<readonly (Owner & { readonly key: string })[]>;
};

export function openBuildSecrets(sql: Knex, secret: string): BuildSecrets {
  const sealFor = (key: string) => openSeal(secret, `build secret ${key}`, sealedCharsMax);
  let made: Promise<unknown> | undefined;
  const tableIsThere = async () => {
    made ??= makeTable(sql).catch(error => {
      made = undefined;
      throw error;
    });
    await made;
  };
  return {
    async keep(key, value, { appId, name }) {
      const sealed = sealFor(key).seal({ value });
      await tableIsThere();
      await sql(table).insert({ key, app_id: appId, name, sealed }).onConflict('key').ignore();
    },
    async read(key) {
      await tableIsThere();
      const row = await sql(table).where({ key }).first('sealed');
      const opened = row && (sealFor(key).open(row.sealed) as { value: string } | undefined);
      return opened?.value;
    },
    async erase(key) {
      await tableIsThere();
      await sql(table).where({ key }).delete();
    },
    async unnamed(secondsMin) {
      await tableIsThere();
      const { rows } = await sql.raw(
        `select v.key, v.app_id as "appId", v.name from ${table} v
         where v.kept_at < now() - ? * interval '1 second'
           and not exists (select from apps_build_secrets s where s.key = v.key)
         limit ${rowsMax}`,
        [secondsMin],
      );
      return rows;
    },
  };
}

/** Two processes may begin at the same time. */
async function makeTable(sql: Knex): Promise<void> {
  await sql.transaction(async tx => {
    await tx.raw("select pg_advisory_xact_lock(hashtext('build secrets'))");
    await tx.raw(`create table if not exists ${table} (
      key text primary key, app_id text not null, name text not null, sealed text not null,
      kept_at timestamptz not null default now())`);
  });
}
