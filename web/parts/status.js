/** How things stand, in a word with a sign; never by colour alone. */
import { html } from '../lib/html.js';
import { Icon } from './icon.js';

/** @type {Readonly<Record<string, { word: string, tone: 'good' | 'bad' | 'busy' | 'calm' }>>} */
const words = {
  pending: { word: 'Waiting', tone: 'calm' },
  queued: { word: 'Queued', tone: 'calm' },
  processing: { word: 'Reading source', tone: 'busy' },
  ready: { word: 'Ready', tone: 'good' },
  failed: { word: 'Failed', tone: 'bad' },
  'failed-attempt': { word: 'Attempt failed', tone: 'bad' },
  archived: { word: 'Archived', tone: 'calm' },
  cancelled: { word: 'Cancelled', tone: 'calm' },
  superseded: { word: 'Superseded', tone: 'calm' },
  succeeded: { word: 'Built', tone: 'good' },
  running: { word: 'Running', tone: 'good' },
  building: { word: 'Building', tone: 'busy' },
  requested: { word: 'Requested', tone: 'calm' },
  starting: { word: 'Starting', tone: 'busy' },
  asleep: { word: 'Asleep', tone: 'calm' },
  waking: { word: 'Waking', tone: 'busy' },
  restarting: { word: 'Starting again', tone: 'busy' },
  coming: { word: 'Coming', tone: 'busy' },
  serving: { word: 'Serves', tone: 'good' },
  retiring: { word: 'Going', tone: 'busy' },
  gone: { word: 'Gone', tone: 'calm' },
  stopping: { word: 'Stopping', tone: 'busy' },
  stopped: { word: 'Stopped', tone: 'calm' },
  expired: { word: 'Time over', tone: 'calm' },
};

/** @param {string} status */
export const statusWord = status => words[status]?.word ?? status;

/** @param {{ status: string, word?: string }} props `word` in place of the usual one */
export function Status({ status, word }) {
  const { word: usual, tone } = words[status] ?? { word: status, tone: 'calm' };
  return html`<span class=${`status ${tone}`}><${Sign} tone=${tone} />${word ?? usual}</span>`;
}

/** @param {{ tone: string }} props */
function Sign({ tone }) {
  if (tone === 'good') return html`<${Icon} name="check" />`;
  if (tone === 'bad') return html`<${Icon} name="cross" />`;
  return html`<span class=${tone === 'busy' ? 'spinner' : 'dot'} aria-hidden="true"></span>`;
}
