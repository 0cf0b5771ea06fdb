/** Everything that ever happened to an app, who did it, and what came of what. */
import { dateTimeOf, eventWords } from '../lib/format.js';
import { html } from '../lib/html.js';
import { ProblemBox } from '../parts/problem.js';
import { Ago } from '../parts/time.js';
import { CausesOf, ValuesOf } from './causes.js';
import { useHistory } from './list.js';

/** @import { App, HistoryEvent } from '../lib/shapes.js' */

/** @param {{ app: App }} props */
export function HistorySection({ app }) {
  const { items, error, more, reload } = useHistory(app.id);
  if (items === undefined) {
    return error === undefined
      ? html`<p class="waiting" role="status"><span class="spinner"></span>Reading the history…</p>`
      : html`<${ProblemBox} error=${error} onRetry=${reload} />`;
  }
  const typeOf = new Map(items.map(({ eventId, type }) => [eventId, type]));
  return html`
    <section aria-label="History" class="panel-stack">
      <p class="dim">The event log is the truth; everything else on this page is made from it.</p>
      <${ValuesOf} appId=${app.id} />
      <ol class="history" role="list">
        ${items.map(
          event => html`<${Entry} key=${event.position} event=${event}
          cause=${typeOf.get(event.causationId)} />`,
        )}
      </ol>
      ${more && html`<p class="more"><button type="button" onClick=${more}>Show older ones</button></p>`}
    </section>
  `;
}

/** @param {{ event: HistoryEvent, cause: string | undefined }} props */
function Entry({ event, cause }) {
  return html`
    <li>
      <details>
        <summary>
          <span class="what">${eventWords(event.type)}</span>
          <span
            class="dim why">by ${event.actor}${cause !== undefined && `, after “${eventWords(cause).toLowerCase()}”`}
            </span>
          <span class="dim end"><${Ago} at=${event.at} /></span>
        </summary>
        <dl class="pairs">
          <dt>Time</dt><dd>${dateTimeOf(event.at)}</dd>
          <dt>Position</dt><dd class="mono">${event.position}</dd>
          <dt>Stream</dt><dd class="mono">${event.stream}</dd>
          <dt>Cause</dt><dd class="mono">${event.causationId}</dd>
          <dt>Correlation</dt><dd class="mono">${event.correlationId}</dd>
        </dl>
        <${CausesOf} position=${event.position} />
        <pre class="log" tabindex="0" aria-label="Data of the event">${JSON.stringify(event.data, null, 2)}</pre>
      </details>
    </li>
  `;
}
