/** What is said of tables that are made anew and watched. All of it pure. */
import { countOf } from '../lib/format.js';

/** @import { Divergence, ProjectionTables, TablesBeside } from './shapes.js' */

/** @param {ProjectionTables} projection */
export const filledOf = ({ beside }) =>
  beside.find(({ role, problem }) => role === 'next' && problem === null);

/** @param {ProjectionTables} projection */
export const keptOf = ({ beside }) => beside.find(({ role }) => role === 'kept');

/** @param {ProjectionTables} projection */
export const refusedOf = ({ beside }) => beside.find(({ problem }) => problem !== null);

/** @param {ProjectionTables} projection */
export const isUnderWay = projection =>
  filledOf(projection) !== undefined || projection.audit?.repairWanted === true;

/** From 0 to 1; undefined where it is not known of how many. @param {TablesBeside} filled */
export function partOf({ events, eventsTotal }) {
  if (events === null || eventsTotal === null) return undefined;
  return eventsTotal === 0 ? 1 : Math.min(1, events / eventsTotal);
}

/** `1,200 of 2,900 events, 18,000 a second, 3 s left` @param {TablesBeside} filled */
export function progressWords({ events, eventsTotal, eventsPerSecond, secondsLeft }) {
  const parts = [];
  if (events !== null && eventsTotal !== null)
    parts.push(`${events.toLocaleString('en')} of ${eventsTotal.toLocaleString('en')} events`);
  else parts.push('events are being counted');
  if (eventsPerSecond !== null) parts.push(`${eventsPerSecond.toLocaleString('en')} a second`);
  if (secondsLeft !== null) parts.push(`${leftWords(secondsLeft)} left`);
  return parts.join(', ');
}

/** @param {number} seconds */
function leftWords(seconds) {
  if (seconds < 90) return `${seconds} s`;
  return seconds < 5_400 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3_600)} h`;
}

/**
 * How a projection stands, as a status with a word.
 * @param {ProjectionTables} projection @returns {{ status: string, word: string }}
 */
export function standingOf(projection) {
  const { audit } = projection;
  const wrong = audit?.wrongRows ?? 0;
  if (audit?.repairWanted) return { status: 'processing', word: 'Being mended' };
  if (filledOf(projection) !== undefined) return { status: 'processing', word: 'Made anew' };
  if (wrong > 0) return { status: 'failed', word: `${countOf(wrong, 'row')} wrong` };
  if (projection.problem !== null) return { status: 'failed', word: 'Stands still' };
  if (projection.deadLetters > 0)
    return { status: 'failed', word: `${countOf(projection.deadLetters, 'stream')} stopped` };
  if (refusedOf(projection) !== undefined) return { status: 'failed', word: 'New tables differ' };
  if (audit === null) return { status: 'stopped', word: 'Not watched' };
  return audit.checkedAt === null
    ? { status: 'pending', word: 'Not looked at yet' }
    : { status: 'ready', word: 'Sound' };
}

/** All of them in one sentence. @param {ProjectionTables[]} projections */
export function summaryOf(projections) {
  const filled = projections.filter(one => filledOf(one) !== undefined).length;
  const wrong = projections.reduce((sum, { audit }) => sum + (audit?.wrongRows ?? 0), 0);
  const parts = [countOf(projections.length, 'projection')];
  if (filled > 0) parts.push(`${filled} being made anew`);
  const stopped = projections.reduce((sum, { deadLetters }) => sum + deadLetters, 0);
  if (stopped > 0) parts.push(`${countOf(stopped, 'event')} that cannot be applied`);
  parts.push(wrong === 0 ? 'no row known that is wrong' : `${countOf(wrong, 'row')} wrong`);
  return parts.join(', ');
}

/** @type {Readonly<Record<Divergence['kind'], string>>} */
const kinds = {
  changed: 'is not what the log says',
  missing: 'is missing',
  extra: 'should not be there',
  unstable: 'comes out differently each time: the code is not a pure function',
};

/** @param {Divergence} divergence */
export function divergenceWords({ kind, columns, position, soundUpTo }) {
  const parts = [
    kind === 'changed'
      ? `${columns.join(', ')} ${columns.length === 1 ? 'is' : 'are'} not what the log says`
      : kinds[kind],
  ];
  if (position !== null) parts.push(`the first event it does not hold is at ${position}`);
  if (soundUpTo !== null) parts.push(`its table was sound at ${soundUpTo}`);
  return parts.join('; ');
}

/** `app_id todo` of a key as JSON. @param {string} key */
export const keyWords = key =>
  Object.entries(JSON.parse(key))
    .map(([column, value]) => `${column} ${value}`)
    .join(', ');
