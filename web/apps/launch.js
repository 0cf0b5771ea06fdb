/** The launches of an app: the one that is looked at, running in its frame, and the others. */
import { toast } from '../lib/announce.js';
import { write } from '../lib/api.js';
import { durationOf } from '../lib/format.js';
import { html, useState } from '../lib/html.js';
import { useMay } from '../lib/identity.js';
import { appUrl } from '../lib/router.js';
import { useAction } from '../lib/use.js';
import { Icon } from '../parts/icon.js';
import { LogView } from '../parts/log.js';
import { MayButton, Why } from '../parts/may.js';
import { ProblemBox } from '../parts/problem.js';
import { Status } from '../parts/status.js';
import { Ago, Elapsed, Remaining } from '../parts/time.js';
import { useLaunches } from './list.js';

/** @import { App, Launch } from '../lib/shapes.js' */

const isAlive = (/** @type {Launch} */ { status }) =>
  ['requested', 'starting', 'running', 'stopping'].includes(status);

/** @param {{ app: App, itemId: string }} props */
export function LaunchSection({ app, itemId }) {
  const { items, error, more, reload } = useLaunches(app.id);
  const shown = items?.find(({ id }) => id === itemId) ?? items?.find(isAlive);
  if (items === undefined) {
    return error === undefined
      ? html`<p class="waiting" role="status"><span class="spinner"></span>Reading launches…</p>`
      : html`<${ProblemBox} error=${error} onRetry=${reload} />`;
  }
  if (items.length === 0) return html`<${NoLaunch} app=${app} />`;
  return html`
    <section class="panel-stack" aria-label="Launches">
      ${shown && html`<${LaunchPanel} key=${shown.id} app=${app} launch=${shown} />`}
      <ol class="rows" role="list">
        ${items.map(
          launch => html`
            <li key=${launch.id}>
              <a href=${appUrl(app.id, `launches/${launch.id}`)}
                aria-current=${launch === shown ? 'true' : undefined}>
                <${Status} status=${launch.status} />
                <span>Launched <${Ago} at=${launch.requestedAt} /></span>
                <span class="dim">
                  ${launch.resourceProfile}${launch.env.length > 0 && `, ${launch.env.map(({ key }) => key).join(' ')}`}
                  </span>
                <span class="dim end">${
                  launch.status === 'running'
                    ? html`<${Remaining}
                  until=${launch.expiresAt} />`
                    : launch.endedAt && html`ended <${Ago} at=${launch.endedAt} />`
                }
                  </span>
              </a>
            </li>
          `,
        )}
      </ol>
      ${more && html`<p class="more"><button type="button" onClick=${more}>Show older ones</button></p>`}
    </section>
  `;
}

/** @param {{ app: App }} props */
function NoLaunch({ app }) {
  return html`
    <div class="empty small">
      <h2>Never launched</h2>
      <p>${
        app.release === null
          ? 'There is no image yet. Once a build has succeeded, Launch starts it in a sandbox.'
          : 'Press Launch above. It starts in a sandbox of its own and is used here in the page.'
      }</p>
    </div>
  `;
}

/** One launch from its request to its end. @param {{ app: App, launch: Launch }} props */
export function LaunchPanel({ app, launch }) {
  const [hasLog, setLog] = useState(false);
  const stop = useAction(async () => {
    await write('POST', `/launches/${launch.id}/stop`);
    toast('Stopping');
  });
  const may = useMay('apps:launch', app.id);
  const isRunning = launch.status === 'running';
  return html`
    <section class="panel launch" aria-label=${`Launch of ${app.name}`}>
      <header class="panel-head">
        <${Status} status=${launch.status} />
        ${isRunning && html`<span class="dim"><${Remaining} until=${launch.expiresAt} /></span>`}
        ${launch.startedInMs !== null && html`<span class="dim">up in ${durationOf(launch.startedInMs)}</span>`}
        <div class="actions end">
          ${
            isRunning &&
            html`<a class="button small" href=${launch.url} target="_blank" rel="noreferrer">
            <${Icon} name="external" />Open in a tab</a>`
          }
          <button type="button" class="small" aria-expanded=${hasLog ? 'true' : 'false'}
            onClick=${() => setLog(!hasLog)}><${Icon} name="list" />Log</button>
          ${
            isAlive(launch) &&
            launch.status !== 'stopping' &&
            html`<${MayButton} may=${may} class="small danger" isBusy=${stop.isBusy}
              onClick=${() => stop.run()}><${Icon} name="stop" />Stop<//><${Why} may=${may} />`
          }
        </div>
      </header>
      ${stop.problem && html`<${ProblemBox} what="It was not stopped" error=${stop.problem} />`}
      ${isRunning ? html`<${Frame} app=${app} launch=${launch} />` : html`<${NotRunning} launch=${launch} />`}
      ${
        hasLog &&
        html`<${LogView} path=${`/launches/${launch.id}/logs`} label="Log of the app" isEndless
        name=${`launch-${launch.id}`} key=${isAlive(launch) ? 'live' : 'ended'} />`
      }
    </section>
  `;
}

/**
 * The app runs on an origin of its own, so it may have scripts and its own storage and still reaches nothing of this page.
 * It may not take over the window.
 */
const sandbox = [
  'allow-scripts',
  'allow-same-origin',
  'allow-forms',
  'allow-modals',
  'allow-popups',
  'allow-popups-to-escape-sandbox',
  'allow-downloads',
  'allow-pointer-lock',
].join(' ');

/** @param {{ app: App, launch: Launch }} props */
function Frame({ app, launch }) {
  return html`<iframe class="frame" src=${launch.url} title=${`${app.name}, running`} sandbox=${sandbox}
    allow="fullscreen" referrerpolicy="no-referrer"></iframe>`;
}

/** @param {{ launch: Launch }} props */
function NotRunning({ launch }) {
  const { status, failure, waitingFor } = launch;
  if (status === 'failed') {
    return html`
      <div class="panel-body">
        <p class="failure"><strong>${failure?.reason ?? 'It failed.'}</strong>
          ${failure?.exitCode != null && ` (exit code ${failure.exitCode})`}</p>
        ${
          (failure?.lastLines.length ?? 0) > 0 &&
          html`<pre class="log" tabindex="0"
          aria-label="Last lines of the app">${failure?.lastLines.join('\n')}</pre>`
        }
      </div>
    `;
  }
  /** @type {Readonly<Record<string, string>>} */
  const words = {
    requested: 'It will be started in a moment.',
    starting: 'The container is up; waiting until the app answers.',
    stopping: 'The container is being removed.',
    stopped: 'It was stopped, and its container is gone.',
    expired: 'Its time was over, and its container is gone.',
  };
  return html`
    <div class="panel-body center">
      <p>${words[status]}${isAlive(launch) && html` <${Elapsed} since=${launch.requestedAt} />`}</p>
      ${waitingFor && html`<p class="waiting-for"><${Icon} name="warn" />${waitingFor}</p>`}
    </div>
  `;
}
