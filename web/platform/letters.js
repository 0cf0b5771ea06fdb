/** Events that a projection cannot apply: why, what waits behind each, trying again, and leaving one out for a reason. */
import { toast } from '../lib/announce.js';
import { getJson, write } from '../lib/api.js';
import { countOf } from '../lib/format.js';
import { html, useEffect, useState } from '../lib/html.js';
import { useMay } from '../lib/identity.js';
import { useLive } from '../lib/live.js';
import { useAction } from '../lib/use.js';
import { Dialog } from '../parts/dialog.js';
import { Field } from '../parts/field.js';
import { Icon } from '../parts/icon.js';
import { MayButton, Why } from '../parts/may.js';
import { ProblemBox } from '../parts/problem.js';
import { Ago } from '../parts/time.js';

/** @import { DeadLetter } from './shapes.js' */

const shownMax = 20;
/** An attempt that was in vain is no event. */
const lookMs = 2_000;
const reasonCharsMin = 3;

/** `marks`: changes whenever they may have. @param {{ name: string, marks: string }} props */
export function Letters({ name, marks }) {
  /** @type {import('../lib/live.js').Live<DeadLetter[]>} */
  const { value, error, reload } = useLive(`${name} letters ${marks}`, {
    load: async options => (await getJson(`/dead-letters?projection=${name}`, options)).data,
    isAbout: event => event.stream === `platform.dead-letter-${name}`,
  });
  useEffect(() => {
    const timer = setInterval(() => document.visibilityState === 'visible' && reload(), lookMs);
    return () => clearInterval(timer);
  }, []);
  if (error)
    return html`<${ProblemBox} what="Dead letters cannot be listed" error=${error} onRetry=${reload} />`;
  const letters = (value ?? []).filter(({ isLive }) => isLive);
  if (letters.length === 0) return null;
  return html`
    <details class="wrong letters" open=${letters.length <= 3}>
      <summary>${countOf(letters.length, 'event')} that cannot be applied</summary>
      <ul role="list">
        ${letters
          .slice(0, shownMax)
          .map(one => html`<${Letter} key=${one.position} letter=${one} onChanged=${reload} />`)}
        ${
          letters.length > shownMax &&
          html`<li class="dim">and ${(letters.length - shownMax).toLocaleString('en')} more</li>`
        }
      </ul>
    </details>
  `;
}

/** @param {{ letter: DeadLetter, onChanged: () => void }} props */
function Letter({ letter, onChanged }) {
  const { projection, position, stream, type, error, waiting, attempts, needsRebuild, nextTryAt } = letter;
  const may = useMay('admin');
  const [isSkipping, setIsSkipping] = useState(false);
  const { run, isBusy, problem } = useAction(
    async (/** @type {'replay' | 'skip'} */ what, /** @type {{ reason: string } | undefined} */ body) => {
      await write('POST', `/projections/${projection}/dead-letters/${position}/${what}`, body);
      toast(
        what === 'replay' ? `${type} at ${position} is tried again` : `${type} at ${position} is left out`,
      );
      setIsSkipping(false);
      onChanged();
    },
  );
  const next = needsRebuild
    ? 'it will be in its place when the tables have been made anew'
    : nextTryAt === null
      ? 'it is tried again when asked'
      : html`next <${Ago} at=${nextTryAt} />`;
  return html`
    <li>
      <span class="mono">${type} at ${position} of ${stream}</span>
      <span>${error}</span>
      <span class="dim">
        tried ${countOf(attempts, 'time')}, ${next}; ${countOf(waiting, 'later event')} of the stream waiting
      </span>
      <span class="actions">
        <${MayButton} may=${may} class="small" isBusy=${isBusy} aria-label=${`Try ${type} at ${position} again`}
          onClick=${() => run('replay', undefined)}><${Icon} name="retry" />Try again<//>
        <${MayButton} may=${may} class="small" isBusy=${isBusy} aria-label=${`Leave ${type} at ${position} out`}
          onClick=${() => setIsSkipping(true)}><${Icon} name="close" />Leave out<//>
        <${Why} may=${may} />
      </span>
      ${problem && !isSkipping && html`<${ProblemBox} what="Not asked for" error=${problem} />`}
      ${
        isSkipping &&
        html`<${Skip} what=${`${type} at ${position}`} isBusy=${isBusy} problem=${problem}
          onYes=${(/** @type {string} */ reason) => run('skip', { reason })} onClose=${() => setIsSkipping(false)} />`
      }
    </li>
  `;
}

/**
 * @param {{ what: string, isBusy: boolean, problem: unknown, onYes: (reason: string) => void, onClose: () => void }} props
 */
function Skip({ what, isBusy, problem, onYes, onClose }) {
  const [reason, setReason] = useState('');
  const [isTried, setIsTried] = useState(false);
  const isShort = reason.trim().length < reasonCharsMin;
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    setIsTried(true);
    if (!isShort && !isBusy) onYes(reason.trim());
  };
  return html`
    <${Dialog} title=${`Leave ${what} out`} onClose=${onClose}>
      <form onSubmit=${submit}>
        <div class="prose">
          <p>The tables will go on behind this event, and will not be what the log says. It is better to mend the code, and
            try again.</p>
        </div>
        <${Field} name="reason" label="Why" value=${reason} onInput=${setReason} required isFirst
          hint="It is kept in the log with your name."
          error=${isTried && isShort && 'Say why this event is left out.'} />
        ${problem && html`<${ProblemBox} what="Not left out" error=${problem} />`}
        <footer>
          <button type="button" onClick=${onClose}>Keep it</button>
          <button type="submit" class="danger" aria-disabled=${isBusy}>Leave it out</button>
        </footer>
      </form>
    <//>
  `;
}
