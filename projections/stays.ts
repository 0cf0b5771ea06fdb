/**
 * What a new version of a projection declares to leave as it was. The tables of the version before stand still while the new ones
 * are filled; where the new ones pass the same position of the log, both hold the same part of it and can be compared, column by
 * column. What is not as it was declared is not shown, and the code has to be mended.
 */
import type { Knex } from 'knex';
import { digestColumns } from './digest.ts';
import { type Generation, schemaOf } from './generation.ts';
import type { ProjectorLog } from './projector.ts';

/** Something to be done when everything up to a position is stored, and nothing behind it. */
export type Cut = { readonly at: bigint; run(): Promise<void> };

type Deps = { readonly sql: Knex; readonly log: ProjectorLog; readonly lookAgain: () => void };

/** In the order of the log. */
export async function cutsOf(deps: Deps, next: readonly Generation[]): Promise<Cut[]> {
  const cuts: Cut[] = [];
  for (const one of next) {
    const { name, stays } = one.projection;
    if (one.isChecked || stays === undefined) continue;
    const live = await deps
      .sql('projection_checkpoints')
      .where({ name, version: stays.from })
      .whereNotNull('position')
      .first('generation', deps.sql.raw('position::text as position'));
    if (live === undefined) continue;
    const at = BigInt(live.position);
    cuts.push({ at, run: () => compare(deps, one, live.generation, at) });
  }
  return cuts.sort((a, b) => (a.at < b.at ? -1 : 1));
}

async function compare(
  { sql, log, lookAgain }: Deps,
  one: Generation,
  before: number,
  at: bigint,
): Promise<void> {
  const { name, stays } = one.projection;
  const { generation } = one;
  if (stays === undefined) return;
  const wrong: string[] = [];
  // Another process may go on with the tables of before; then there is nothing to compare with.
  const isStill = await sql.transaction(
    async tx => {
      await tx.raw(`set local timezone = 'UTC'`);
      await tx.raw('set local statement_timeout = 0');
      for (const [table, columns] of Object.entries(stays.tables)) {
        const digest = await digestColumns(tx, schemaOf(one.projection, generation), table, columns);
        const of = async (generation: number) => {
          const { rows } = await tx.raw(`select ${digest} from ??.?? as t`, [
            schemaOf({ name }, generation),
            table,
          ]);
          return `${rows[0].rows}-${rows[0].sum}`;
        };
        if ((await of(before)) !== (await of(generation))) wrong.push(table);
      }
      const live = await tx('projection_checkpoints').where({ name, generation: before }).first('position');
      return live !== undefined && BigInt(live.position) === at && one.position === at;
    },
    { isolationLevel: 'repeatable read', readOnly: true },
  );
  const place = sql('projection_generations').where({ name, generation });
  const problem = !isStill
    ? `It could not be compared with version ${stays.from}, which has not stood still.`
    : `What was to stay as in version ${stays.from} has not, in ${wrong.join(', ')}.`;
  if (isStill && wrong.length === 0) await place.update({ is_checked: true });
  else {
    await place.update({ problem });
    log.error({ projection: name, generation, tables: wrong }, 'a new version is not shown');
    lookAgain();
  }
}
