/** The place where a page ended, as an opaque text: it can only be used with the query that it came from. */
import { createHash } from 'node:crypto';
import { invalid } from '../platform/problem.ts';

/** `tier` is the weight reached, `value` what the rows are sorted by, `id` tells rows with the same value apart. */
export type Place = { readonly tier: number; readonly value: string; readonly id: string };

export const cursorCharsMax = 2_048;
const tierMax = 16;

/** Whether a text is a value of the column that rows are sorted by, so that the database can read it back. */
export type ValueTest = { test(value: string): boolean };

/** A time in UTC with milliseconds or microseconds. Nothing of the calendar is made up: no 30th of February. */
export const timeValue: ValueTest = {
  test(value) {
    if (value.startsWith('0000') || !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}(?:\d{3})?Z$/.test(value))
      return false;
    const ms = Date.parse(`${value.slice(0, 23)}Z`);
    return !Number.isNaN(ms) && new Date(ms).toISOString().slice(0, 23) === value.slice(0, 23);
  },
};

/** A whole number from 0 to what a bigint holds. */
export const numberValue: ValueTest = {
  test: value => /^\d{1,19}$/.test(value) && BigInt(value) < 1n << 63n,
};

export function querySum(query: unknown): string {
  return createHash('sha256').update(JSON.stringify(query)).digest('base64url').slice(0, 12);
}

export function cursorOf(place: Place, sum: string): string {
  return Buffer.from(JSON.stringify([sum, place.tier, place.value, place.id])).toString('base64url');
}

/** Throws 400 for anything that `cursorOf` did not write for this query. */
export function placeOf(cursor: string, sum: string, values: ValueTest): Place {
  try {
    const [from, tier, value, id]: unknown[] = JSON.parse(Buffer.from(cursor, 'base64url').toString());
    if (
      from === sum &&
      typeof tier === 'number' &&
      Number.isInteger(tier) &&
      tier >= 0 &&
      tier <= tierMax &&
      typeof value === 'string' &&
      values.test(value) &&
      typeof id === 'string' &&
      !`${value}${id}`.includes('\0')
    ) {
      return { tier, value, id };
    }
  } catch {
    // Not one of ours.
  }
  throw invalid([{ field: 'cursor', message: 'must be the nextCursor of a page of the same query' }]);
}
