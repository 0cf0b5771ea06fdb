/** Follows text that the API sends as it comes, through breaks of the connection. */
import { getStream, isAbort, Problem } from './api.js';

const retryMsMin = 500;
const retryMsMax = 8_000;
const tailLines = 1_000;

/**
 * @typedef {object} Following
 * @property {boolean} isEndless the text has no offsets; after a break it comes anew, and `onAgain` says so
 * @property {AbortSignal} signal
 * @property {(text: string) => void} onText
 * @property {() => void} onAgain
 * @property {(text: string) => void} onSay how the following itself goes; '' when it goes well
 */

/**
 * Resolves when the text has come to its end.
 * @param {string} path
 * @param {Following} options
 */
export async function followText(path, { isEndless, signal, onText, onAgain, onSay }) {
  let offset = 0;
  // One for all parts: a break may fall into a character.
  let decoder = new TextDecoder();
  for (let failures = 0; ; failures += 1) {
    const query = new URLSearchParams({
      follow: 'true',
      ...(isEndless ? { tail: `${tailLines}` } : { offset: `${offset}` }),
    });
    try {
      const answer = await getStream(`${path}${path.includes('?') ? '&' : '?'}${query}`, signal);
      if (isEndless) {
        decoder = new TextDecoder();
        onAgain();
      }
      const reader = answer.body?.getReader();
      for (let part = await reader?.read(); part !== undefined && !part.done; part = await reader?.read()) {
        failures = 0;
        offset += part.value.length;
        onText(decoder.decode(part.value, { stream: true }));
        onSay('');
      }
      return;
    } catch (error) {
      if (signal.aborted || isAbort(error)) return;
      // Only what may pass is worth another try: a broken connection, a server that is starting.
      if (error instanceof Problem && error.status !== 0 && error.status < 500) throw error;
      onSay('The connection broke. Trying again…');
      const waitMs = Math.min(retryMsMax, retryMsMin * 2 ** failures);
      await new Promise(resolve => setTimeout(resolve, waitMs));
    }
  }
}
