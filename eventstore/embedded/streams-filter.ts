/** Filters of reads and subscriptions of $all: by the stream's name or the event's type, by prefix or regular expression. */

import { setFlagsFromString } from 'node:v8';
import type { Codec } from './codec.ts';
import type { filterOptions } from './codec-streams.ts';
import { InvalidRequest } from './log-errors.ts';
import type { StoredRecord } from './storage.ts';

export type Filter = {
  matches(record: StoredRecord): boolean;
  /** Subscribers are told how far the search is each time so many records have been looked at. */
  readonly checkpointRecords: number;
  /** At most so many records are looked at in one go. */
  readonly window: number;
};

type Options = typeof filterOptions extends Codec<infer T> ? T : never;

const windowDefault = 32;
const patternCharsMax = 1_000;

/** Undefined: everything. Throws InvalidRequest. */
export function filterOf(options: Options | undefined): Filter | undefined {
  if (options === undefined) return undefined;
  const { stream, eventType, window: max, checkpointInterval } = options;
  const expression = stream ?? eventType;
  if (expression === undefined) throw new InvalidRequest('A filter needs an expression.');
  const window = max === undefined || max === 0 ? windowDefault : max;
  const fits = textMatcher(expression);
  return {
    matches: stream === undefined ? record => fits(record.type) : record => fits(record.stream),
    window,
    checkpointRecords: Math.max(1, checkpointInterval) * window,
  };
}

function textMatcher({ regex, prefixes }: { regex: string; prefixes: readonly string[] }) {
  if (regex === '') {
    const [only] = prefixes;
    if (prefixes.length === 1 && only !== undefined) return (text: string) => text.startsWith(only);
    return (text: string) => prefixes.some(prefix => text.startsWith(prefix));
  }
  const pattern = openPattern(regex);
  return (text: string) => pattern.test(text);
}

/**
 * A pattern comes from outside and runs on the one thread that everybody shares, so it must not be able to take for ever.
 * One that cannot is run as it is; any other by V8's engine that takes linear time, which knows no backreferences and no
 * looking around. Throws InvalidRequest.
 */
function openPattern(regex: string): RegExp {
  if (regex.length > patternCharsMax) throw new InvalidRequest('The regular expression is too long.');
  const plain = compiled(regex);
  if (plain instanceof Error) throw new InvalidRequest(`The regular expression is none: ${plain.message}`);
  if (isQuick(regex)) return plain;
  setFlagsFromString('--enable-experimental-regexp-engine');
  const linear = compiled(regex, 'l');
  if (!(linear instanceof Error) && !needsUnicode.test(regex)) return linear;
  throw new InvalidRequest('The regular expression could take too long: repeat less, or look around less.');
}

const needsUnicode = /\\[pPu]\{/;
const openEndsMax = 2;

/** No repeated group, no backreference, and few repetitions without an end. */
function isQuick(regex: string): boolean {
  if (/\\[1-9k]/.test(regex)) return false;
  const bare = regex.replace(/\\./g, '_').replace(/\[[^\]]*\]/g, '_');
  return !/\)[*+{]/.test(bare) && (bare.match(/[*+]|\{\d*,\}/g) ?? []).length <= openEndsMax;
}

/** As .NET does, by UTF-16 units; by code points where the pattern cannot be read otherwise. */
function compiled(regex: string, flags = ''): RegExp | Error {
  try {
    return new RegExp(regex, flags === '' && needsUnicode.test(regex) ? 'u' : flags);
  } catch (error) {
    return error as Error;
  }
}
