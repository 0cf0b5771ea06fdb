/** What led to an event and what came of it, as a tree; and which event set each value of an app. */
import { getJson } from '../lib/api.js';
import { eventWords } from '../lib/format.js';
import { html, useRef, useState } from '../lib/html.js';
import { useLive } from '../lib/live.js';
import { ProblemBox } from '../parts/problem.js';
import { Ago } from '../parts/time.js';

/** @import { CauseNode, Causes, WhyField } from '../lib/shapes.js' */

const valueCharsMax = 80;

/** Reads once it is opened, and not before. @param {{ summary: string, children: () => unknown }} props */
function Opened({ summary, children }) {
  const [isOpen, setOpen] = useState(false);
  return html`
    <details class="causes"
      onToggle=${(/** @type {Event} */ event) => setOpen(/** @type {HTMLDetailsElement} */ (event.currentTarget).open)}>
      <summary>${summary}</summary>
      ${isOpen && children()}
    </details>
  `;
}

/** @param {{ position: string }} props */
export function CausesOf({ position }) {
  return html`<${Opened} summary="What led to it, and what came of it">${() =>
    html`<${Tree} position=${position} />`}<//>`;
}

/** @param {{ position: string }} props */
function Tree({ position }) {
  const path = `/events/${position}/causes`;
  const correlation = useRef('');
  const live = useLive(path, {
    // What comes of an event may come later.
    isAbout: event => event.correlationId === correlation.current,
    load: async options => {
      const { data } = /** @type {{ data: Causes }} */ (await getJson(path, options));
      correlation.current = data.correlationId;
      return data;
    },
  });
  if (live.error) return html`<${ProblemBox} error=${live.error} onRetry=${live.reload} />`;
  if (live.value === undefined) return html`<${Reading} />`;
  const { event, command, causes, effects, others, isCut } = live.value;
  const first = (causes[0] ?? event).depth - (command === null ? 0 : 1);
  return html`
    <ol class="cause-tree" role="list" aria-label="From the first cause to the last effect">
      ${
        command !== null &&
        html`<li><span class="mono">${command}</span> <span class="dim">was asked for</span></li>`
      }
      ${[...causes, event, ...effects].map(
        node => html`<${Row} key=${node.position} node=${node} level=${node.depth - first}
          isThis=${node === event} />`,
      )}
    </ol>
    ${others > 0 && html`<p class="dim">${others} more of the same request are neither before nor behind it.</p>`}
    ${isCut && html`<p class="dim">There are more events than are shown.</p>`}
  `;
}

/** @param {{ node: CauseNode, level: number, isThis: boolean }} props */
function Row({ node, level, isThis }) {
  return html`
    <li style=${`--level: ${Math.min(level, 12)}`} aria-current=${isThis ? 'true' : undefined}>
      ${eventWords(node.type)}
      <span class="dim"> by ${node.actor}, <${Ago} at=${node.at} />, position ${node.position}</span>
    </li>
  `;
}

/** @param {{ appId: string }} props */
export function ValuesOf({ appId }) {
  return html`<${Opened} summary="Which event set each value of this app">${() =>
    html`<${Values} appId=${appId} />`}<//>`;
}

/** @param {{ appId: string }} props */
function Values({ appId }) {
  const path = `/apps/${appId}/why`;
  const live = useLive(path, {
    isAbout: event => event.data.appId === appId,
    load: async options => /** @type {{ data: WhyField[] }} */ (await getJson(path, options)).data,
  });
  if (live.error) return html`<${ProblemBox} error=${live.error} onRetry=${live.reload} />`;
  if (live.value === undefined) return html`<${Reading} />`;
  return html`
    <dl class="pairs values">
      ${live.value
        .filter(({ field }) => !field.includes('['))
        .map(
          ({ field, value, event }) => html`
          <dt key=${field} class="mono">${field}</dt>
          <dd>
            <span class="mono">${short(value)}</span>
            <span class="dim"> ${eventWords(event.type)} by ${event.actor}, <${Ago} at=${event.at} />${because(event)}</span>
          </dd>
        `,
        )}
    </dl>
  `;
}

const Reading = () => html`<p class="waiting" role="status"><span class="spinner"></span>Reading…</p>`;

/** @param {WhyField['event']} event */
function because({ command, cause }) {
  if (command !== null) return html`, through <span class="mono">${command}</span>`;
  return cause === null ? '' : `, after “${eventWords(cause.type).toLowerCase()}”`;
}

/** @param {unknown} value */
function short(value) {
  if (value === null) return 'nothing';
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return text.length > valueCharsMax ? `${text.slice(0, valueCharsMax - 1)}…` : text;
}
