/** The place where a page ended, as an opaque text: it can only be used with the query that it came from. */
import { createHash } from 'node:crypto';
import { invalid } from '../../platform/problem.ts';

/** `tier` is the weight reached, `value` what the rows are sorted by, `id` tells rows with the same value apart. */
export type Place = { readonly tier: number; readonly value: string; readonly id: string };

export const cursorCharsMax = 2_048;

export function querySum(query: unknown): string {
  return createHash('sha256').update(JSON.stringify(query)).digest('base64url').slice(0, 12);
}

export function cursorOf(place: Place, sum: string): string {
  return Buffer.from(JSON.stringify([sum, place.tier, place.value, place.id])).toString('base64url');
}

/** Throws 400 for anything that `cursorOf` did not write for this query. */
export function placeOf(cursor: string, sum: string, valuePattern: RegExp): Place {
  try {
    const [from, tier, value, id]: unknown[] = JSON.parse(Buffer.from(cursor, 'base64url').toString());
    if (
      from === sum &&
      Number.isInteger(tier) &&
      typeof value === 'string' &&
      valuePattern.test(value) &&
      typeof id === 'string' &&
      !`${value}${id}`.includes('\0')
    ) {
      return { tier: Number(tier), value, id };
    }
  } catch {
    // Not one of ours.
  }
  throw invalid([{ field: 'cursor', message: 'must be the nextCursor of a page of the same query' }]);
}
