/** Numbers and times in words for people. All of it pure. */

const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;

/** @param {number} ms */
export function durationOf(ms) {
  if (ms < 100) return `${Math.round(ms)} ms`;
  if (ms < 10 * second) return `${(ms / second).toFixed(1)} s`;
  if (ms < minute) return `${Math.round(ms / second)} s`;
  if (ms < hour) return `${Math.floor(ms / minute)} min ${Math.floor((ms % minute) / second)} s`;
  if (ms < day) return `${Math.floor(ms / hour)} h ${Math.floor((ms % hour) / minute)} min`;
  return `${Math.floor(ms / day)} d ${Math.floor((ms % day) / hour)} h`;
}

/** A length of time that somebody has chosen: `90 s`, `30 min`, `2 h`, `1 day`. @param {number} seconds */
export function spanOf(seconds) {
  const ms = seconds * second;
  if (ms >= day && ms % day === 0) return countOf(ms / day, 'day');
  if (ms >= hour && ms % hour === 0) return `${ms / hour} h`;
  return ms >= minute && ms % minute === 0 ? `${ms / minute} min` : `${seconds} s`;
}

/** `3 minutes ago`. @param {string} time RFC 3339 @param {number} now */
export function agoOf(time, now) {
  const ms = now - Date.parse(time);
  if (ms < 10 * second) return 'just now';
  if (ms < minute) return `${Math.floor(ms / second)} s ago`;
  if (ms < hour) return `${Math.floor(ms / minute)} min ago`;
  if (ms < day) return `${Math.floor(ms / hour)} h ago`;
  if (ms < 7 * day) return `${Math.floor(ms / day)} d ago`;
  return new Date(time).toLocaleDateString(undefined, { dateStyle: 'medium' });
}

/** @param {string} time */
export const clockOf = time => new Date(time).toLocaleTimeString(undefined, { timeStyle: 'medium' });
/** @param {string} time */
export const dateTimeOf = time =>
  new Date(time).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'medium' });

/** Without seconds, for times to come. @param {string} time */
export const dayTimeOf = time =>
  new Date(time).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' });

/** @param {number} bytes */
export function bytesOf(bytes) {
  const units = ['B', 'KB', 'MB', 'GB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1_000 && unit < units.length - 1) {
    value /= 1_000;
    unit += 1;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

/** `1 app`, `2 apps`. @param {number} count @param {string} noun @param {string} [plural] */
export const countOf = (count, noun, plural = `${noun}s`) =>
  `${count.toLocaleString()} ${count === 1 ? noun : plural}`;

/** `1st`, `2nd`, `3rd`, `4th`. @param {number} place */
export function ordinalOf(place) {
  /** @type {Readonly<Record<string, string>>} */
  const suffix = { one: 'st', two: 'nd', few: 'rd' };
  return `${place}${suffix[new Intl.PluralRules('en', { type: 'ordinal' }).select(place)] ?? 'th'}`;
}

/** `BuildStarted` as people write it; what is of several words, like a route, stays as it is. @param {string} type */
export const eventWords = type => {
  if (type.includes(' ')) return type;
  const words = type.replace(/([a-z])([A-Z])/g, '$1 $2').toLowerCase();
  return `${words[0]?.toUpperCase()}${words.slice(1)}`.replace(/^Api /, 'API ');
};

/** @param {string | null} commit */
export const shortCommit = commit => commit?.slice(0, 7) ?? '';

/** The same number from 0 to 359 for the same text. @param {string} text */
export function hueOf(text) {
  // FNV-1a: texts that differ little get hues that differ much.
  let hash = 0x811c9dc5;
  for (const char of text) hash = Math.imul(hash ^ (char.codePointAt(0) ?? 0), 0x01000193);
  return (hash >>> 8) % 360;
}
