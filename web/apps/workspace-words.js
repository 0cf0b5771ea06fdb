/** How a workspace and its snapshots stand, in words. All of it pure. */
import { bytesOf } from '../lib/format.js';

/** @import { Snapshot, Workspace } from '../lib/shapes.js' */

const mib = 1024 ** 2;
const gib = 1024 * mib;

/** How much it may hold, in the steps that are offered. @type {readonly [number, string][]} */
export const sizes = [
  [256 * mib, '256 MB'],
  [gib, '1 GB'],
  [2 * gib, '2 GB'],
  [5 * gib, '5 GB'],
  [10 * gib, '10 GB'],
];

/** Those, and the present one where it is another. @param {number} present @returns {(string | number)[][]} */
export function sizesWith(present) {
  const isOne = sizes.some(([bytes]) => bytes === present);
  const all = isOne ? sizes : [...sizes, /** @type {const} */ ([present, bytesOf(present)])];
  return [...all].sort(([a], [b]) => a - b).map(([bytes, name]) => [bytes, name]);
}

/** @type {Readonly<Record<string, { sign: string, word: string }>>} */
const states = {
  empty: { sign: 'requested', word: 'Empty' },
  filling: { sign: 'starting', word: 'Being copied' },
  ready: { sign: 'ready', word: 'Ready' },
  snapshot: { sign: 'starting', word: 'Taking a snapshot' },
  restore: { sign: 'starting', word: 'Putting a snapshot back' },
  broken: { sign: 'failed', word: 'Not copied' },
  removing: { sign: 'stopping', word: 'Deleting' },
};

/** The status whose sign it has, and its own word. @param {Workspace} one */
export function stateOf({ status, level }) {
  if (level === 'full' && status === 'ready') return { sign: 'failed', word: 'Full' };
  return states[status] ?? { sign: 'requested', word: status };
}

/** @type {Readonly<Record<string, { sign: string, word: string }>>} */
const snapshotStates = {
  asked: { sign: 'starting', word: 'Being taken' },
  taken: { sign: 'ready', word: 'Taken' },
  failed: { sign: 'failed', word: 'Not taken' },
  removing: { sign: 'stopping', word: 'Removing' },
};

/** @param {Snapshot} one */
export const snapshotStateOf = ({ status }) => snapshotStates[status] ?? { sign: 'requested', word: status };

/** What it holds of what it may. @param {Workspace} one */
export function holdsOf({ bytes, bytesMax, status }) {
  if (bytes === null) return status === 'empty' ? `Up to ${bytesOf(bytesMax)}` : `Of ${bytesOf(bytesMax)}`;
  return `${bytesOf(bytes)} of ${bytesOf(bytesMax)}`;
}

/** Whether something can be asked of its content now. @param {Workspace} one */
export const isIdle = ({ status }) => status === 'ready' || status === 'empty' || status === 'broken';

/** Why a launch cannot have it; empty where it can. @param {Workspace} one */
export function whyNot(one) {
  if (one.launchId !== null) return 'in use';
  if (one.level === 'full') return 'full';
  return isIdle(one) && one.status !== 'broken' ? '' : stateOf(one).word.toLowerCase();
}
