/**
 * The tree in tiles of 256 hashes (C2SP tlog-tiles): a tile of level L holds nodes of height 8·L, and every other node is made
 * of the hashes of one tile. The last tile of a level may be partial.
 */
import { type HashAt, hashBytes, hashNode } from './merkle.ts';

export const tileWidth = 256;
export const tileHeight = 8;
const levelsMax = 7;

export type TilePlace = { readonly level: number; readonly at: number };

/** A tile as it is kept: its hashes one after the other. Undefined where there is none. */
export type TileAt = (place: TilePlace) => Buffer | undefined;

/** The tile that the node is made of, and which of its hashes. */
function placeOf(height: number, at: number): TilePlace & { first: number; count: number } {
  const level = Math.floor(height / tileHeight);
  const count = 2 ** (height % tileHeight);
  const start = at * count;
  return { level, at: Math.floor(start / tileWidth), first: start % tileWidth, count };
}

/** Reads nodes out of tiles. Throws when a tile is missing or too short: then the tree is not as large as was thought. */
export function hashesOf(tileAt: TileAt): HashAt {
  return (height, at) => {
    const place = placeOf(height, at);
    const tile = tileAt({ level: place.level, at: place.at });
    const end = (place.first + place.count) * hashBytes;
    if (tile === undefined || tile.length < end)
      throw new RangeError(`node ${at} of height ${height} is not in the tiles`);
    let row = Array.from({ length: place.count }, (_, n) =>
      tile.subarray((place.first + n) * hashBytes, (place.first + n + 1) * hashBytes),
    );
    while (row.length > 1) {
      row = Array.from({ length: row.length / 2 }, (_, n) =>
        hashNode(row[2 * n] as Buffer, row[2 * n + 1] as Buffer),
      );
    }
    return row[0] as Buffer;
  };
}

/** Every tile that a proof may ask for is named before it is made, so that all can be fetched at once. */
export function tilesAsked(ask: (hashAt: HashAt) => unknown): readonly TilePlace[] {
  const wanted = new Map<string, TilePlace>();
  const nothing = Buffer.alloc(hashBytes);
  ask((height, at) => {
    const { level, at: tile } = placeOf(height, at);
    wanted.set(`${level}/${tile}`, { level, at: tile });
    return nothing;
  });
  return [...wanted.values()];
}

/** How many hashes the last tile of each level holds in a tree of this size, from level 0 on; none beyond the root's. */
export function edgeWidths(size: number): readonly number[] {
  const widths: number[] = [];
  for (let rest = size; rest > 0; rest = Math.floor(rest / tileWidth)) widths.push(rest % tileWidth);
  return widths;
}

/** How many hashes a tile has in a tree of this size: 0 where it is not there yet. */
export function widthOf({ level, at }: TilePlace, size: number): number {
  const hashes = Math.floor(size / tileWidth ** level);
  return Math.max(0, Math.min(tileWidth, hashes - at * tileWidth));
}

/** `x001/x234/067` for 1234067, as tlog-tiles has it. */
export function pathOfTile({ level, at }: TilePlace, width: number): string {
  const digits = at.toString().padStart(Math.ceil(at.toString().length / 3) * 3, '0');
  const parts = digits.match(/\d{3}/g) ?? [];
  const path = parts.map((part, n) => (n < parts.length - 1 ? `x${part}` : part)).join('/');
  return `tile/${level}/${path}${width === tileWidth ? '' : `.p/${width}`}`;
}

/** Reads what pathOfTile writes, without its `tile/`. Undefined for what is no path of a tile. */
export function tileOfPath(path: string): (TilePlace & { readonly width: number }) | undefined {
  const [, level, index, width] =
    /^([0-9]|[1-9]\d)\/((?:x\d{3}\/)*\d{3})(?:\.p\/([1-9]\d{0,2}))?$/.exec(path) ?? [];
  if (level === undefined || index === undefined) return undefined;
  const place = {
    level: Number(level),
    at: Number(index.replace(/[x/]/g, '')),
    width: width === undefined ? tileWidth : Number(width),
  };
  const isFine = place.level <= levelsMax && place.width <= tileWidth && Number.isSafeInteger(place.at);
  return isFine && `tile/${path}` === pathOfTile(place, place.width) ? place : undefined;
}
