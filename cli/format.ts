/** Values as people read them: times ago, durations, sizes; and text from elsewhere made safe to print. */
import { stripVTControlCharacters } from 'node:util';

const units: readonly [string, number][] = [
  ['d', 86_400],
  ['h', 3_600],
  ['min', 60],
  ['s', 1],
];

/** `3 min ago`, `in 2 h`, `now`; a dash for what has no time. Rounded down to the largest unit that fits. */
export function relative(time: string | null | undefined, now = Date.now()): string {
  if (time == null) return '-';
  const seconds = (now - Date.parse(time)) / 1_000;
  if (Number.isNaN(seconds)) return time;
  const span = Math.abs(seconds);
  const [unit, size] = units.find(([, size]) => span >= size) ?? ['', 0];
  if (size === 0) return 'now';
  const count = `${Math.floor(span / size)} ${unit}`;
  return seconds > 0 ? `${count} ago` : `in ${count}`;
}

/** `840 ms`, `3.2 s`, `2 min 5 s`, `1 h 4 min`. */
export function duration(ms: number | null | undefined): string {
  if (ms == null) return '-';
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1_000);
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  return `${Math.floor(seconds / 3_600)} h ${Math.floor((seconds % 3_600) / 60)} min`;
}

/** Decimal units, as the Docker CLI prints sizes: `912 B`, `4.1 MB`. */
export function size(bytes: number | null | undefined): string {
  if (bytes == null) return '-';
  let [value, unit] = [bytes, 'B'];
  for (const next of ['kB', 'MB', 'GB', 'TB']) {
    if (value < 1_000) break;
    [value, unit] = [value / 1_000, next];
  }
  return unit === 'B' ? `${value} B` : `${value.toFixed(1)} ${unit}`;
}

export function shortCommit(commit: string | null | undefined): string {
  return commit == null ? '-' : commit.slice(0, 12);
}

/**
 * Text of a stranger on one line: no escape sequence of it reaches the terminal, no line break breaks a
 * table.
 */
export function plain(text: string): string {
  return stripVTControlCharacters(text).replace(/[\p{Cc}\u202a-\u202e\u2066-\u2069]+/gu, ' ');
}

/**
 * A whole line of a log for a terminal: tabs stay, everything that would move the cursor or change the title
 * goes.
 */
export function plainLine(line: string): string {
  const visible = line.slice(line.trimEnd().lastIndexOf('\r') + 1);
  return visible.split('\t').map(plain).join('\t').trimEnd();
}

/** `1st`, `2nd`, `3rd`, `4th`, … */
export function ordinal(place: number): string {
  const suffix = { one: 'st', two: 'nd', few: 'rd' } as Readonly<Record<string, string>>;
  return `${place}${suffix[new Intl.PluralRules('en', { type: 'ordinal' }).select(place)] ?? 'th'}`;
}
