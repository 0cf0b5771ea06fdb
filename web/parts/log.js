/**
 * What a build or an app prints, as it prints it. Follows the end until its reader scrolls away from it. Lines are put into
 * the document by hand, a frame at a time: a log of many thousand lines is no tree to be compared again and again.
 */
import { piecesOf } from '../lib/ansi.js';
import { followText } from '../lib/follow.js';
import { html, useEffect, useRef, useState } from '../lib/html.js';
import { Icon } from './icon.js';
import { useEnd } from './log-end.js';
import { sentenceOf } from './problem.js';

const linesMax = 5_000;

/**
 * @param {{ path: string, label: string, name: string, isEndless?: boolean, failedStep?: number | null }} props
 *   `isEndless`: has no offsets to go on from; `failedStep`: the number of the step to be set off
 */
export function LogView({ path, label, name, isEndless = false, failedStep = null }) {
  const box = useRef(/** @type {HTMLPreElement | null} */ (null));
  const [state, setState] = useState({ dropped: 0, lines: 0, says: 'Reading…' });
  const end = useEnd(box);
  useEffect(() => {
    const pre = box.current;
    if (pre === null) return undefined;
    const gone = new AbortController();
    const paper = writer(pre, counts => {
      end.keep();
      setState(old => ({ ...old, ...counts }));
    });
    followText(path, {
      isEndless,
      signal: gone.signal,
      onText: paper.write,
      onAgain: paper.clear,
      onSay: says => setState(old => ({ ...old, says })),
    })
      .then(() => setState(old => ({ ...old, says: '' })))
      .catch(error => !gone.signal.aborted && setState(old => ({ ...old, says: sentenceOf(error) })));
    return () => {
      gone.abort();
      paper.stop();
    };
  }, [path, isEndless]);
  return html`
    <div class="log-view">
      <pre ref=${box} class="log" tabindex="0" role="region" aria-label=${label} ...${end.handlers}></pre>
      <${Marked} box=${box} step=${failedStep} lines=${state.lines} />
      <p class="log-foot">
        <span role="status">${state.says}</span>
        ${
          state.dropped > 0 &&
          html`
          <span>The first ${state.dropped.toLocaleString()} lines are left out here.</span>`
        }
        <span class="actions end">
          ${
            !end.isFollowing &&
            html`<button type="button" class="small" onClick=${end.toEnd}><${Icon}
            name="down" />To the end</button>`
          }
          <a class="button small" href=${`${path}${path.includes('?') ? '&' : '?'}download=true`}
            download=${`${name}.log`}><${Icon} name="download" />Download</a>
        </span>
      </p>
    </div>
  `;
}

/**
 * Sets the step that failed off from the others.
 * @param {{ box: { current: HTMLElement | null }, step: number | null, lines: number }} props
 */
function Marked({ box, step, lines }) {
  useEffect(() => {
    for (const line of box.current?.querySelectorAll('.step') ?? []) {
      line.classList.toggle(
        'failed',
        step !== null && line.textContent?.startsWith(`Step ${step}/`) === true,
      );
    }
  }, [step, lines]);
  return null;
}

/**
 * @param {HTMLElement} pre
 * @param {(counts: { dropped: number, lines: number }) => void} onCount
 */
function writer(pre, onCount) {
  let waiting = '';
  let frame = 0;
  let dropped = 0;
  let lines = 0;
  /** The last line while it has no end. @type {HTMLElement | undefined} */
  let open;
  const flush = () => {
    frame = 0;
    const parts = waiting.split('\n');
    const rest = parts.pop() ?? '';
    waiting = rest;
    open?.remove();
    open = undefined;
    const sheet = document.createDocumentFragment();
    for (const line of parts.slice(-linesMax)) sheet.append(lineElement(line));
    lines += parts.length;
    dropped += Math.max(0, parts.length - linesMax);
    if (rest !== '') {
      open = lineElement(rest);
      sheet.append(open);
    }
    pre.append(sheet);
    for (; pre.childElementCount > linesMax + 1; dropped += 1) pre.firstElementChild?.remove();
    onCount({ dropped, lines });
  };
  return {
    /** @param {string} text */
    write(text) {
      waiting += text;
      if (frame === 0) frame = requestAnimationFrame(flush);
    },
    clear() {
      waiting = '';
      open = undefined;
      dropped = 0;
      pre.replaceChildren();
    },
    stop: () => cancelAnimationFrame(frame),
  };
}

/** @param {string} line */
function lineElement(line) {
  const element = document.createElement('span');
  element.className = 'line';
  for (const { text, classes } of piecesOf(line)) {
    if (classes === '') element.append(text);
    else {
      const piece = document.createElement('span');
      piece.className = classes;
      piece.textContent = text;
      element.append(piece);
    }
  }
  const text = element.textContent ?? '';
  if (/^Step \d+\/\d+ :/.test(text)) element.classList.add('step');
  if (/^(FAILED|CANCELLED)\b/.test(text)) element.classList.add('bad');
  element.append('\n');
  return element;
}
