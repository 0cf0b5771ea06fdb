/** Proofs out of the tables of the tree. Full tiles never change, so the newest looked at are kept in memory. */
import type { Knex } from 'knex';
import { consistencyProof, type HashAt, hashBytes, inclusionProof, peaksAt, rootAt } from './merkle.ts';
import { hashesOf, type TilePlace, tilesAsked, tileWidth, widthOf } from './tiles.ts';

const cachedTilesMax = 1_024;
const positionBytes = 8;

export type TreeState = {
  readonly generation: number;
  readonly size: number;
  readonly position: bigint | null;
};

type Included = { readonly leafHash: Buffer; readonly proof: readonly Buffer[] };

export type TreeReader = {
  /** The tree that is shown now; undefined before there is one. */
  state(): Promise<TreeState | undefined>;
  /** All proofs by one look at the tables. Each size has to be within the tree. */
  inclusion(state: TreeState, indexes: readonly number[], size: number): Promise<readonly Included[]>;
  consistency(state: TreeState, first: number, second: number): Promise<readonly Buffer[]>;
  root(state: TreeState, size: number): Promise<Buffer>;
  peaks(state: TreeState, size: number): Promise<readonly Buffer[]>;
  /** What a tile of level 0 holds so far, and the positions of its events. */
  leaves(
    state: TreeState,
    at: number,
  ): Promise<{ readonly hashes: Buffer; readonly positions: readonly bigint[] }>;
  leafHash(state: TreeState, index: number): Promise<Buffer>;
  /** The first `width` hashes of a tile; undefined where the tree has not so many. */
  tile(state: TreeState, place: TilePlace, width: number): Promise<Buffer | undefined>;
  /** Where the event of exactly this position is among the leaves. */
  indexOf(state: TreeState, position: bigint): Promise<number | undefined>;
  indexesOf(state: TreeState, positions: readonly bigint[]): Promise<readonly (number | undefined)[]>;
  /** The same for the first leaf at or behind the position; the size of the tree where there is none. */
  indexFrom(state: TreeState, position: bigint): Promise<number>;
  indexOfId(state: TreeState, id: string): Promise<number | undefined>;
  positionOf(state: TreeState, index: number): Promise<bigint>;
};

export function treeReader(sql: Knex): TreeReader {
  const fetchTiles = tilesOf(sql);
  const places = placesOf(sql);
  const read = async <T>(state: TreeState, ask: (hashAt: HashAt) => T): Promise<T> => {
    const tiles = await fetchTiles(state, tilesAsked(ask));
    return ask(hashesOf(place => tiles.get(keyOf(place))));
  };
  return {
    async state() {
      const row = await sql('audit_trees')
        .where({ is_current: true })
        .first('generation', 'size', sql.raw('position::text as position'));
      if (row === undefined) return undefined;
      const { generation, size, position } = row as never as StateRow;
      return { generation, size, position: position === null ? null : BigInt(position) };
    },
    inclusion: (state, indexes, size) =>
      read(state, hashAt =>
        indexes.map(index => ({ leafHash: hashAt(0, index), proof: inclusionProof(index, size, hashAt) })),
      ),
    consistency: (state, first, second) => read(state, hashAt => consistencyProof(first, second, hashAt)),
    root: (state, size) => read(state, hashAt => rootAt(size, hashAt)),
    peaks: (state, size) => read(state, hashAt => peaksAt(size, hashAt)),
    async leaves(state, at) {
      const { generation } = state;
      const row = await sql('audit_tiles').where({ generation, level: 0, at }).first('hashes', 'positions');
      if (row !== undefined) return { hashes: row.hashes, positions: unpacked(row.positions) };
      const rows = await sql('audit_edge')
        .where({ generation })
        .whereBetween('leaf', [at * tileWidth, (at + 1) * tileWidth - 1])
        .orderBy('leaf')
        .select('hash', sql.raw('position::text as position'));
      // The open tile has become full between the two looks.
      if (rows.length === 0 && at * tileWidth < state.size) return this.leaves(state, at);
      return {
        hashes: Buffer.concat(rows.map(({ hash }) => hash)),
        positions: rows.map(({ position }) => BigInt(position)),
      };
    },
    leafHash: (state, index) => read(state, hashAt => hashAt(0, index)),
    async tile(state, place, width) {
      if (widthOf(place, state.size) < width) return undefined;
      const tiles = await fetchTiles(state, [place]);
      return tiles.get(keyOf(place))?.subarray(0, width * hashBytes);
    },
    ...places,
    async indexOf(state, position) {
      return (await places.indexesOf(state, [position]))[0];
    },
    async indexOfId({ generation, size }, id) {
      const row = await sql('audit_ids').where({ generation, id }).orderBy('leaf').first('leaf');
      return row === undefined || row.leaf >= size ? undefined : row.leaf;
    },
  };
}

type StateRow = { generation: number; size: number; position: string | null };
type TileRow = { level: number; at: number; hashes: Buffer };

const keyOf = ({ level, at }: TilePlace) => `${level}/${at}`;

/** Fetches tiles as far as they go; those that are full and were looked at lately come from memory. */
function tilesOf(sql: Knex) {
  const cache = new Map<string, Buffer>();
  const keep = (key: string, tile: Buffer) => {
    const [oldest] = cache.keys();
    if (cache.size >= cachedTilesMax && oldest !== undefined) cache.delete(oldest);
    cache.set(key, tile);
  };
  return async (
    { generation }: TreeState,
    places: readonly TilePlace[],
  ): Promise<ReadonlyMap<string, Buffer>> => {
    const found = new Map<string, Buffer>();
    const missing: TilePlace[] = [];
    for (const place of places) {
      const known = cache.get(`${generation}/${keyOf(place)}`);
      if (known === undefined) missing.push(place);
      else found.set(keyOf(place), known);
    }
    if (missing.length === 0) return found;
    const { rows } = await sql.raw(
      `select t.level, t.at, t.hashes from audit_tiles t
       join unnest(cast(? as int[]), cast(? as bigint[])) as u(level, at) on u.level = t.level and u.at = t.at
       where t.generation = ?
       union all
       select 0, leaf / ${tileWidth}, string_agg(hash, ''::bytea order by leaf) from audit_edge
       where generation = ? group by 2`,
      [missing.map(({ level }) => level), missing.map(({ at }) => at), generation, generation],
    );
    for (const row of rows as TileRow[]) {
      found.set(keyOf(row), row.hashes);
      if (row.hashes.length === tileWidth * hashBytes) keep(`${generation}/${keyOf(row)}`, row.hashes);
    }
    return found;
  };
}

/** Which leaf is at which position: packed beside the full tiles, and one by one for the open one. */
function placesOf(sql: Knex) {
  const edge = async ({ generation }: TreeState): Promise<readonly { leaf: number; position: bigint }[]> => {
    const rows = await sql('audit_edge')
      .where({ generation })
      .orderBy('leaf')
      .select('leaf', sql.raw('position::text as position'));
    return rows.map(({ leaf, position }) => ({ leaf, position: BigInt(position) }));
  };
  return {
    /** The newest are in the open tile, which is one look for all. */
    async indexesOf(
      state: TreeState,
      positions: readonly bigint[],
    ): Promise<readonly (number | undefined)[]> {
      const open = new Map((await edge(state)).map(({ leaf, position }) => [position, leaf]));
      const found: (number | undefined)[] = [];
      for (const position of positions) {
        const index = open.get(position) ?? (await this.indexFrom(state, position));
        const isThere =
          open.has(position) || (index < state.size && (await this.positionOf(state, index)) === position);
        found.push(isThere && index < state.size ? index : undefined);
      }
      return found;
    },
    async indexFrom(state: TreeState, position: bigint): Promise<number> {
      const { generation } = state;
      const row = await sql('audit_tiles')
        .where({ generation, level: 0 })
        .where('first_position', '<=', position.toString())
        .orderBy('first_position', 'desc')
        .first('at', 'positions');
      const within = row === undefined ? 0 : firstAtLeast(row.positions, position);
      if (row !== undefined && within < tileWidth) return row.at * tileWidth + within;
      const next = row === undefined ? 0 : (row.at + 1) * tileWidth;
      if (next < state.size - (state.size % tileWidth)) return next;
      const rows = await edge(state);
      // The open tile has become full between the two looks.
      if ((rows[0]?.leaf ?? next) > next) return this.indexFrom(state, position);
      return rows.find(leaf => leaf.position >= position)?.leaf ?? state.size;
    },
    async positionOf(state: TreeState, index: number): Promise<bigint> {
      const { generation } = state;
      const place = { generation, level: 0, at: Math.floor(index / tileWidth) };
      const row = await sql('audit_tiles').where(place).first('positions');
      if (row !== undefined) return row.positions.readBigUInt64BE((index % tileWidth) * positionBytes);
      const found = (await edge(state)).find(({ leaf }) => leaf === index);
      if (found === undefined) throw new RangeError(`there is no leaf ${index}`);
      return found.position;
    },
  };
}

const unpacked = (positions: Buffer) =>
  Array.from({ length: positions.length / positionBytes }, (_, n) =>
    positions.readBigUInt64BE(n * positionBytes),
  );

/** Which of the packed positions is the first at or behind this one; their number where none is. */
function firstAtLeast(positions: Buffer, position: bigint): number {
  let [low, high] = [0, positions.length / positionBytes];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (positions.readBigUInt64BE(middle * positionBytes) < position) low = middle + 1;
    else high = middle;
  }
  return low;
}
