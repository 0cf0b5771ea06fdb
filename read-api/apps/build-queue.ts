/** Where the builds that wait stand: which place each has, and why it is not begun. */
import type { Knex } from 'knex';
import { whyFullDisk, whyNoBuilder } from '../machine.ts';
import type { BuildRow } from './build.ts';

const table = 'apps_builds';

/** `position` 1 is the build that is begun next. `waitingFor` is a sentence; null where it is begun any moment. */
export type Place = { readonly position: number; readonly waitingFor: string | null };

/** The places of those of these builds that wait. Costs one range of an index, up to the last of them. */
export async function placesOf(sql: Knex, rows: readonly BuildRow[]): Promise<ReadonlyMap<string, Place>> {
  const waiting = rows.filter(({ status }) => status === 'queued');
  const last = waiting
    .map(row => BigInt(String(row.asked_position)))
    .sort(byValue)
    .at(-1);
  if (last === undefined) return new Map();
  const [places, running, why] = await Promise.all([
    sql
      .from(
        sql(table)
          .where('status', 'queued')
          .where('asked_position', '<=', last.toString())
          .select('build_id', sql.raw('(row_number() over (order by asked_position))::int as place'))
          .as('queue'),
      )
      .whereIn(
        'build_id',
        waiting.map(({ build_id: id }) => id),
      )
      .select('build_id', 'place'),
    sql(table).where('status', 'running').count('* as count').first(),
    whyNoneBegins(sql),
  ]);
  return new Map(
    places.map(({ build_id: id, place }) => [
      id,
      { position: place, waitingFor: why ?? whoIsBefore(place, Number(running?.count)) },
    ]),
  );
}

/** What holds every build up; null when they go on. */
async function whyNoneBegins(sql: Knex): Promise<string | null> {
  return (await whyNoBuilder(sql)) ?? (await whyFullDisk(sql));
}

function whoIsBefore(place: number, running: number): string | null {
  const made = running === 1 ? 'another build is being made' : `${running} builds are being made`;
  if (place === 1) return running === 0 ? null : `It is next: ${made}.`;
  const before = place === 2 ? 'One build is' : `${place - 1} builds are`;
  return `${before} before it in the queue${running === 0 ? '' : `, and ${made}`}.`;
}

const byValue = (a: bigint, b: bigint) => (a < b ? -1 : a > b ? 1 : 0);
