/** How the source of an app was read: each run with its attempts, stages and their times. */
import { toast } from '../lib/announce.js';
import { write } from '../lib/api.js';
import { clockOf, durationOf, shortCommit } from '../lib/format.js';
import { html } from '../lib/html.js';
import { useMay } from '../lib/identity.js';
import { useAction } from '../lib/use.js';
import { Icon } from '../parts/icon.js';
import { MayButton, Why } from '../parts/may.js';
import { ProblemBox } from '../parts/problem.js';
import { Status, statusWord } from '../parts/status.js';
import { Ago, Elapsed, Remaining } from '../parts/time.js';
import { useIngestions } from './list.js';
import { Webhook } from './webhook.js';

/** @import { App, Ingestion } from '../lib/shapes.js' */

/** @type {Readonly<Record<string, string>>} */
const causes = {
  registered: 'the app was added',
  changed: 'its source was changed',
  retry: 'somebody asked for it',
  webhook: 'somebody pushed',
  sync: 'a new commit was seen',
};
const isOpen = (/** @type {string} */ status) =>
  status === 'queued' || status === 'processing' || status === 'pending';

/** @param {{ app: App }} props */
export function SourceSection({ app }) {
  const { items, error, more, reload } = useIngestions(app.id);
  return html`
    <div class="two">
      <section class="panel-stack" aria-label="Readings of the source">
        <${IngestionActions} app=${app} />
        ${error && html`<${ProblemBox} error=${error} onRetry=${reload} />`}
        ${items?.map(run => html`<${Run} key=${run.run} run=${run} />`)}
        ${items?.length === 0 && html`<p class="dim">Not read yet.</p>`}
        ${more && html`<p class="more"><button type="button" onClick=${more}>Show older ones</button></p>`}
      </section>
      <aside class="panel-stack">
        <section class="panel panel-body">
          <h2>Source</h2>
          <dl class="pairs">
            <dt>Address</dt><dd class="mono">${app.repoUrl}</dd>
            <dt>Branch</dt><dd>${app.ref ?? html`the default one${app.branch && `: ${app.branch}`}`}</dd>
            <dt>Commit</dt><dd class="mono">${app.commit ?? '–'}</dd>
            <dt>Dockerfile</dt><dd class="mono">${app.dockerfilePath ?? '–'}</dd>
            <dt>Ports</dt><dd>${app.ports.length > 0 ? app.ports.join(', ') : 'none exposed'}</dd>
          </dl>
        </section>
        ${app.status !== 'archived' && html`<${Webhook} app=${app} />`}
      </aside>
    </div>
  `;
}

/** @param {{ app: App }} props */
export function IngestionActions({ app }) {
  const path = `/apps/${encodeURIComponent(app.id)}`;
  const retry = useAction(async () => {
    await write('POST', `${path}/retry`);
    toast('The source is read again');
  });
  const cancel = useAction(async () => {
    await write('POST', `${path}/cancel`);
    toast('Cancelled');
  });
  const may = useMay('apps:write', app.id);
  if (app.status === 'archived') return null;
  const problem = retry.problem ?? cancel.problem;
  return html`
    <div class="actions">
      ${
        isOpen(app.status)
          ? html`<${MayButton} may=${may} class="small danger" isBusy=${cancel.isBusy}
            onClick=${() => cancel.run()}><${Icon} name="close" />Cancel reading<//>`
          : html`<${MayButton} may=${may} class="small" isBusy=${retry.isBusy} onClick=${() => retry.run()}>
            <${Icon} name="retry" />Read again<//>`
      }
      <${Why} may=${may} />
    </div>
    ${problem && html`<${ProblemBox} error=${problem} />`}
  `;
}

/** @param {{ run: Ingestion }} props */
function Run({ run }) {
  return html`
    <article class="panel run">
      <header class="panel-head">
        <${Status} status=${run.status} />
        <span>Reading ${run.run}, as ${causes[run.cause] ?? run.cause}</span>
        <span class="dim end"><${Ago} at=${run.queuedAt} /></span>
      </header>
      <div class="panel-body"><${Timeline} run=${run} /></div>
    </article>
  `;
}

/** Every step of a run in its order, the present one with its time going on. @param {{ run: Ingestion }} props */
export function Timeline({ run }) {
  const { timeline, durations } = run;
  const last = timeline.length - 1;
  return html`
    <ol class="timeline" role="list">
      ${timeline.map((step, at) => {
        const isNow = at === last && isOpen(step.status);
        return html`
          <li key=${at} class=${`step-${step.status} ${isNow ? 'now' : ''}`}
            aria-current=${isNow ? 'step' : undefined}>
            <p>
              <strong>${stepWord(step.status)}</strong>
              ${
                step.attempt !== null &&
                step.attempt > 1 &&
                html` <span
                class="dim">attempt ${step.attempt} of ${run.attemptsMax}</span>`
              }
              ${step.commit && html` <span class="mono">${shortCommit(step.commit)}</span>`}
            </p>
            ${step.message && html`<p class="message">${step.message}</p>`}
            ${
              at === last &&
              run.retryAt &&
              step.status === 'failed-attempt' &&
              html`<p
              class="dim">Next attempt: <${Remaining} until=${run.retryAt} /></p>`
            }
            ${step.status === 'ready' && durations && html`<${Stages} durations=${durations} />`}
            <p class="when dim"><time datetime=${step.at}>${clockOf(step.at)}</time>
              ${
                isNow
                  ? html` · <${Elapsed} since=${step.at} />
              `
                  : step.durationMs !== null && ` · ${durationOf(step.durationMs)}`
              }</p>
          </li>
        `;
      })}
    </ol>
  `;
}

/** @param {string} status */
const stepWord = status =>
  status === 'processing' ? 'Cloning and inspecting' : status === 'queued' ? 'Queued' : statusWord(status);

/** How the time was spent. @param {{ durations: NonNullable<Ingestion['durations']> }} props */
function Stages({ durations }) {
  const stages = [
    { name: 'Clone', ms: durations.cloneMs },
    { name: 'Inspect', ms: durations.inspectMs },
    { name: 'Store', ms: durations.storeMs },
  ];
  return html`
    <ul class="stages" role="list">
      ${stages.map(
        ({ name, ms }) => html`<li key=${name} style=${{ flexGrow: Math.max(1, ms) }}>${name} <span>
        ${durationOf(ms)}</span></li>`,
      )}
    </ul>
  `;
}
