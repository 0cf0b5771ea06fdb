/** Looking back: a bar on every page that says of which time it is, moves that time, and leads back to now. */
import { say } from '../lib/announce.js';
import { getJson, isAbort } from '../lib/api.js';
import { dateTimeOf } from '../lib/format.js';
import { html, useEffect, useId, useRef, useState } from '../lib/html.js';
import { useMay } from '../lib/identity.js';
import { isAt, isPast, lookAt, past, usePast } from '../lib/past.js';
import { Icon } from './icon.js';
import { MayButton } from './may.js';
import { sentenceOf } from './problem.js';

/** @typedef {{ position: string, at: string }} Moment */
/**
 * @typedef {object} Around
 * @property {Moment | null} first
 * @property {Moment | null} last
 * @property {{ position: string, at: string | null } | null} here
 * @property {Moment | null} previous
 * @property {Moment | null} next
 */

/** The arrow keys go from one end to the other in so many steps. */
const stepsMax = 500;
/** While the slider is moved, pages are not asked for each time it passes. */
const restMs = 250;
const sliderId = 'past-slider';
/** Whoever has begun to look back goes on at the slider, once it is there. */
let isFocusWanted = false;

/** @param {string} [around] @param {AbortSignal} [signal] @returns {Promise<Around>} */
const lookAround = async (around, signal) =>
  (await getJson(`/past${around ? `?around=${encodeURIComponent(around)}` : ''}`, { signal })).data;

/** Begins at the latest moment there is, where nothing has changed yet. */
async function lookBack() {
  try {
    const { last } = await lookAround();
    if (last === null) return say('There is nothing to look back at yet.');
    isFocusWanted = true;
    lookAt(last.at);
  } catch (error) {
    say(sentenceOf(/** @type {Error} */ (error)));
  }
  return undefined;
}

function backToNow() {
  lookAt('');
  say('Back to now.');
  // What had the focus is gone.
  document.getElementById('main')?.focus({ preventScroll: true });
}

export const turnBack = () => (isPast() ? backToNow() : void lookBack());

/** In the header. */
export function PastButton() {
  const { asOf } = usePast();
  const may = useMay('apps:read');
  const label = asOf === '' ? 'Look back in time (t)' : 'Back to now (t)';
  return html`
    <${MayButton} may=${may} class="bare" aria-label="Look back in time" aria-pressed=${asOf !== ''} title=${label}
      onClick=${turnBack}><${Icon} name="clock" /><//>
  `;
}

export function PastBar() {
  const { asOf } = usePast();
  return asOf === '' ? null : html`<${Bar} asOf=${asOf} />`;
}

/** What lies around the time that is looked at; the last that was known, while the next is asked for. @param {string} asOf */
function useAround(asOf) {
  const [found, setFound] = useState(/** @type {Around | undefined} */ (undefined));
  const [error, setError] = useState(/** @type {Error | undefined} */ (undefined));
  useEffect(() => {
    const gone = new AbortController();
    lookAround(asOf, gone.signal).then(
      around => {
        setFound(around);
        setError(undefined);
        if (around.here?.at != null) isAt(around.here.at);
      },
      problem => !isAbort(problem) && !gone.signal.aborted && setError(problem),
    );
    return () => gone.abort();
  }, [asOf]);
  return { found, error };
}

/** @param {{ asOf: string }} props */
function Bar({ asOf }) {
  const { found, error } = useAround(asOf);
  const { at } = usePast();
  const when = at === '' ? asOf : dateTimeOf(at);
  const before = useRef('');
  useEffect(() => {
    if (before.current !== '' && before.current !== asOf) say(`As of ${when}`);
    before.current = asOf;
  }, [asOf]);
  return html`
    <section class="past" aria-label="Looking back">
      <p class="past-words">
        <${Icon} name="clock" />
        <span><strong>As of <time datetime=${at}>${when}</time></strong>
        ${found?.here?.at == null ? '' : html` <span class="dim">(position ${found.here.position})</span>`}.${' '}
        This is what AppHub was then. It can be looked at, not changed.</span>
      </p>
      ${error !== undefined && html`<p class="past-problem" role="alert">${sentenceOf(error)}</p>`}
      <div class="past-controls">
        ${found?.first != null && found.last !== null && html`<${Controls} found=${found} at=${at} />`}
        <button type="button" class="primary" onClick=${backToNow}>Back to now</button>
      </div>
    </section>
  `;
}

/** @param {{ found: Around, at: string }} props */
function Controls({ found, at }) {
  const { first, last, previous, next } = found;
  const [from, to] = [Date.parse(first?.at ?? ''), Date.parse(last?.at ?? '')];
  const here = Math.min(to, Math.max(from, Date.parse(at) || from));
  const [moving, setMoving] = useState(/** @type {number | undefined} */ (undefined));
  const timer = useRef(/** @type {ReturnType<typeof setTimeout> | undefined} */ (undefined));
  useEffect(() => {
    if (isFocusWanted) document.getElementById(sliderId)?.focus();
    isFocusWanted = false;
    return () => clearTimeout(timer.current);
  }, []);
  // Once the page is there, the slider stands where the page is.
  useEffect(() => setMoving(undefined), [at]);
  const move = (/** @type {number} */ ms) => {
    setMoving(ms);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => {
      const wanted = new Date(ms).toISOString();
      if (past.get().asOf === wanted) setMoving(undefined);
      else lookAt(wanted, { replace: true });
    }, restMs);
  };
  const shown = moving ?? here;
  const span = Math.max(1, to - from);
  return html`
    <${Step} to=${previous} label="One moment earlier" icon="earlier" />
    <input type="range" id=${sliderId} aria-label="Time" min="0" max=${span}
      step=${Math.max(1, Math.floor(span / stepsMax))} value=${shown - from} disabled=${to <= from}
      aria-valuetext=${dateTimeOf(new Date(shown).toISOString())}
      onInput=${(/** @type {{ currentTarget: HTMLInputElement }} */ event) =>
        move(from + Number(event.currentTarget.value))} />
    <${Step} to=${next} label="One moment later" icon="later" />
    <${Exact} at=${shown} />
  `;
}

/**
 * Where there is nothing further it stays, so that the focus is not lost.
 * @param {{ to: Moment | null, label: string, icon: string }} props
 */
function Step({ to, label, icon }) {
  return html`
    <button type="button" class="bare" aria-label=${label} title=${label} aria-disabled=${to === null}
      onClick=${() => to !== null && lookAt(to.at, { replace: true })}><${Icon} name=${icon} /></button>
  `;
}

/** A time as people say it; taken with Enter, or when it is left. @param {{ at: number }} props */
function Exact({ at }) {
  const id = useId();
  const take = (/** @type {{ currentTarget: HTMLInputElement }} */ { currentTarget }) => {
    const ms = new Date(currentTarget.value).getTime();
    const isSame = Math.floor(ms / 1_000) === Math.floor(at / 1_000);
    if (Number.isNaN(ms) || isSame) return;
    // A second that has begun is over when it is asked for.
    lookAt(new Date(Math.min(ms + 999, Date.now())).toISOString(), { replace: true });
  };
  return html`
    <span class="past-exact">
      <label for=${id}>Go to</label>
      <input id=${id} type="datetime-local" step="1" value=${localOf(at)} onBlur=${take}
        onKeyDown=${(/** @type {KeyboardEvent & { currentTarget: HTMLInputElement }} */ event) =>
          event.key === 'Enter' && take(event)} />
    </span>
  `;
}

/** As the field wants it: in this zone, without saying so. @param {number} ms */
function localOf(ms) {
  const away = new Date(ms).getTimezoneOffset() * 60_000;
  return new Date(ms - away).toISOString().slice(0, 19);
}
