/** What a launch uses, in words and in a line that is drawn. All of it pure. */
import { bytesOf, clockOf } from '../lib/format.js';

/** @import { ContainerUsage, UsageSample } from '../lib/shapes.js' */

/** @param {number} value */
const rounded = value => Math.round(value * 100) / 100;

/** @param {number} cpus */
export const coresOf = cpus => `${rounded(cpus)} ${cpus === 1 ? 'core' : 'cores'}`;

/** @param {ContainerUsage} one */
export const cpuWords = ({ cpus, cpusMax }) =>
  cpus === null ? `at most ${coresOf(cpusMax)}` : `${rounded(cpus)} of ${coresOf(cpusMax)}`;

/** @param {ContainerUsage} one */
export const memoryWords = ({ memoryBytes, memoryBytesMax }) =>
  `${bytesOf(memoryBytes)} of ${bytesOf(memoryBytesMax)}`;

/** In a few characters, for the head of the launch. @param {ContainerUsage} one */
export const shortWords = ({ cpus, cpusMax, memoryBytes }) =>
  [
    ...(cpus === null || cpusMax === 0 ? [] : [`CPU ${Math.round((cpus / cpusMax) * 100)} %`]),
    bytesOf(memoryBytes),
  ].join(' · ');

/** @param {{ cpuSeconds: number, memoryMbHours: number }} sums */
export const sumWords = ({ cpuSeconds, memoryMbHours }) =>
  `${secondsOf(cpuSeconds)} and ${hoursOf(memoryMbHours)}`;

/** @param {number} seconds */
export const secondsOf = seconds => `${amount(seconds)} CPU seconds`;
/** @param {number} hours */
export const hoursOf = hours => `${amount(hours)} MB-hours of memory`;

/** @param {number} value */
const amount = value =>
  (value < 100 ? Math.round(value * 10) / 10 : Math.round(value)).toLocaleString(undefined);

/**
 * The text of the drawn line: what it was at least, at most and last.
 * @param {readonly UsageSample[]} recent @param {(sample: UsageSample) => number} numberIn
 * @param {(value: number) => string} wordOf
 */
export function lineWords(recent, numberIn, wordOf) {
  const [first] = recent;
  const last = recent.at(-1);
  if (first === undefined || last === undefined || recent.length < 2) return 'There are no readings yet.';
  const values = recent.map(numberIn);
  const range = `from ${wordOf(Math.min(...values))} to ${wordOf(Math.max(...values))}`;
  return `Since ${clockOf(first.at)}: ${range}, now ${wordOf(numberIn(last))}.`;
}

/**
 * The points of a line in a box of 100 by 100, by time from left to right and by value from the bottom to the limit.
 * @param {readonly UsageSample[]} recent @param {(sample: UsageSample) => number} numberIn @param {number} max
 */
export function linePoints(recent, numberIn, max) {
  const times = recent.map(({ at }) => Date.parse(at));
  const [from = 0] = times;
  const spanMs = Math.max(1, (times.at(-1) ?? 0) - from);
  return recent
    .map((sample, at) => {
      const x = (((times[at] ?? 0) - from) / spanMs) * 100;
      const y = 100 - Math.min(1, numberIn(sample) / Math.max(max, Number.EPSILON)) * 100;
      return `${x.toFixed(1)},${y.toFixed(1)}`;
    })
    .join(' ');
}

/** Readings that stand for the others in a table: the newest first, a minute apart. @param {readonly UsageSample[]} recent */
export function rowsOf(recent) {
  /** @type {UsageSample[]} */
  const rows = [];
  for (const sample of recent.toReversed()) {
    const before = rows.at(-1);
    if (before === undefined || Date.parse(before.at) - Date.parse(sample.at) >= 60_000) rows.push(sample);
  }
  return rows;
}
