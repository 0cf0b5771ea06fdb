/** `--as-of` of what is read: the same answers, as they would have been at an earlier time. */
import type { Client, Query } from './client.ts';
import { UsageError } from './exit.ts';

export const asOfOption = {
  'as-of': {
    type: 'string',
    value: 'when',
    help: 'As it was then: 2026-01-31T12:00, a position of the log, or how long ago (90m, 2d)',
  },
} as const;

const msPer: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** What the server is asked: a position as it is, a time in UTC. Times without a zone are those of this machine. */
export function whenOf(text: string, nowMs: number): string {
  const given = text.trim();
  if (/^\d+$/.test(given)) return given;
  const [, digits, unit = ''] = /^(\d{1,7})([smhd])$/.exec(given) ?? [];
  const isTime = /^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?$/i.test(given);
  // A day alone would be taken for midnight in UTC.
  const local = given.length === 10 ? `${given}T00:00` : given.replace(' ', 'T');
  const ms = digits === undefined ? Date.parse(local) : nowMs - Number(digits) * (msPer[unit] ?? 0);
  if ((digits === undefined && !isTime) || Number.isNaN(ms)) {
    throw new UsageError(
      `--as-of is "${text}"; write a time such as 2026-01-31T12:00, a position of the log, or 90m, 2h, 7d`,
    );
  }
  return new Date(ms).toISOString();
}

/** A client whose every read is of that time. It changes nothing: the past is read only. */
export function clientAsOf(client: Client, asOf: string): Client {
  const at = (query: Query = {}) => ({ ...query, asOf });
  return {
    place: client.place,
    get: (path, query) => client.get(path, at(query)),
    list: (path, query, limit) => client.list(path, at(query), limit),
    write: () => Promise.reject(new UsageError('--as-of is for reading: the past cannot be changed')),
    text: (path, query) => client.text(path, at(query)),
  };
}
