/** Filters of reads and subscriptions of $all: by the stream's name or the event's type, by prefix or regular expression. */

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
  if (regex.length > patternCharsMax) throw new InvalidRequest('The regular expression is too long.');
  try {
    const pattern = new RegExp(regex, 'u');
    return (text: string) => pattern.test(text);
  } catch (error) {
    try {
      const pattern = new RegExp(regex);
      return (text: string) => pattern.test(text);
    } catch {
      throw new InvalidRequest(`The regular expression is none: ${(error as Error).message}`);
    }
  }
}
