/** Holds a projection's live tables against the shadow, some ranges of rows at a time, both at one position of the log. */
import type { Knex } from 'knex';
import type { EventStore } from '../eventstore/store.ts';
import type { Tally } from './audit-settle.ts';
import { type Generation, schemaOf } from './generation.ts';
import { hasLetters } from './letters.ts';
import {
  digestOf,
  hashesOf,
  type Key,
  type Keyed,
  keyOf,
  nextRange,
  type Range,
  type RangeDigest,
} from './ranges.ts';
import { advance } from './shadow.ts';
import { isBefore, type Live, snapshot } from './snapshot.ts';

/** Of one range, and of all the ranges of one look. */
const rangeRowsMax = 2_000;
const lookRowsMax = 6_000;

/** Where the next look begins: in this table, of those of the projection, behind this key. */
export type Place = { readonly table: number; readonly from: Key | null };

type Look = { readonly keyed: Keyed; readonly range: Range; readonly digest: RangeDigest };
type Seen = {
  readonly looks: readonly Look[];
  readonly live: Live;
  readonly next: Place;
  readonly isLast: boolean;
};
type Deps = { readonly sql: Knex; readonly store: EventStore; readonly signal: AbortSignal };

export function openComparison({ sql, store, signal }: Deps, shadows: readonly Generation[]) {
  const keys = new Map<string, Keyed>();
  const bounds = { eventsMax: Number.POSITIVE_INFINITY, signal };
  const ownOf = ({ projection, generation }: Generation) => schemaOf(projection, generation);

  /** Brings the shadow to where a live projection was, and with it all that go to the same place. */
  const bring = async (shadow: Generation, live: Live, lives: ReadonlyMap<string, Live>) => {
    const along = shadows.filter(
      one => one !== shadow && lives.get(one.projection.name)?.position === live.position,
    );
    await advance(sql, store, [shadow, ...along], live.position, bounds);
    return shadow.position === live.position;
  };

  const keyedOf = async (tx: Knex, shadow: Generation, name: string) => {
    const known = keys.get(name);
    if (known !== undefined) return known;
    const keyed = await keyOf(tx, ownOf(shadow), name, shadow.projection.tables[name] ?? []);
    keys.set(name, keyed);
    return keyed;
  };

  /** Reads ranges of the live tables in one snapshot. Undefined: they cannot be compared just now. */
  const look = async (shadow: Generation, place: Place): Promise<Seen | undefined> => {
    const tables = Object.keys(shadow.projection.tables);
    const seen = await snapshot(sql, async (tx, lives) => {
      const live = lives.get(shadow.projection.name);
      if (live === undefined || isBefore(live, shadow) || (await hasLetters(tx, shadow))) return undefined;
      const looks: Look[] = [];
      let { table, from } = place;
      for (let rows = 0; rows < lookRowsMax; ) {
        const name = tables[table];
        if (name === undefined) break;
        const keyed = await keyedOf(tx, shadow, name);
        const range = await nextRange(tx, keyed, [live.schema, ownOf(shadow)], from, rangeRowsMax);
        const digest = await digestOf(tx, keyed, live.schema, range);
        looks.push({ keyed, range, digest });
        rows += digest.rows;
        [table, from] = range.to === null ? [table + 1, null] : [table, range.to];
      }
      return { looks, live, lives, next: { table, from }, isLast: table >= tables.length };
    });
    return seen !== undefined && (await bring(shadow, seen.live, seen.lives)) ? seen : undefined;
  };

  /** The keys in a range whose rows differ, at a position that both sides have now. */
  const unlike = async (shadow: Generation, keyed: Keyed, range: Range): Promise<readonly Key[]> => {
    const first = await snapshot(sql, async (tx, lives) => {
      const live = lives.get(shadow.projection.name);
      return live && { live, lives, hashes: await hashesOf(tx, keyed, live.schema, range) };
    });
    if (first === undefined || !(await bring(shadow, first.live, first.lives))) return [];
    const second = await snapshot(sql, tx => hashesOf(tx, keyed, ownOf(shadow), range));
    const all = new Set([...first.hashes.keys(), ...second.keys()]);
    return [...all]
      .filter(key => first.hashes.get(key) !== second.get(key))
      .map(key => JSON.parse(key) as Key);
  };

  /** Adds to the tallies what was seen. The shadow has not moved since. */
  const compare = async (shadow: Generation, { looks, live }: Seen, tallies: Map<string, Tally>) => {
    const seconds = await snapshot(sql, async tx => {
      const found: RangeDigest[] = [];
      for (const { keyed, range } of looks) found.push(await digestOf(tx, keyed, ownOf(shadow), range));
      return found;
    });
    for (const [at, { keyed, range, digest }] of looks.entries()) {
      const { table } = keyed;
      const tally = tallies.get(table) ?? { keyed, ranges: 0, digests: [], from: live.position, wrong: [] };
      tallies.set(table, tally);
      tally.ranges += 1;
      tally.digests.push(digest);
      const second = seconds[at];
      if (second?.sum === digest.sum && second.rows === digest.rows) continue;
      tally.wrong.push(...(await unlike(shadow, keyed, range)));
    }
  };

  return { bring, look, compare };
}
