/** The launches of an app: the one that is looked at, and the others. */
import { html } from '../lib/html.js';
import { appUrl } from '../lib/router.js';
import { ProblemBox } from '../parts/problem.js';
import { Status } from '../parts/status.js';
import { Ago, Remaining } from '../parts/time.js';
import { LaunchPanel } from './launch-panel.js';
import { isAlive, isChangeable } from './launch-words.js';
import { useLaunch, useLaunches } from './list.js';

/** @import { App, Launch } from '../lib/shapes.js' */

/** @param {{ app: App, itemId: string }} props */
export function LaunchSection({ app, itemId }) {
  const { items, error, more, reload } = useLaunches(app.id);
  if (items === undefined) {
    return error === undefined
      ? html`<p class="waiting" role="status"><span class="spinner"></span>Reading launches…</p>`
      : html`<${ProblemBox} error=${error} onRetry=${reload} />`;
  }
  const asked = items.find(({ id }) => id === itemId);
  const shown = asked ?? (itemId === '' ? (items.find(isAlive) ?? items[0]) : undefined);
  if (items.length === 0 && itemId === '') return html`<${NoLaunch} app=${app} />`;
  return html`
    <section class="panel-stack" aria-label="Launches">
      ${shown && html`<${LaunchPanel} key=${shown.id} app=${app} launch=${shown} isFull />`}
      ${!shown && html`<${Elsewhere} key=${itemId} app=${app} launchId=${itemId} />`}
      ${items.length > 0 && html`<h2>All launches</h2>`}
      <ol class="rows" role="list">
        ${items.map(launch => html`<${Row} key=${launch.id} launch=${launch} isShown=${launch === shown} />`)}
      </ol>
      ${more && html`<p class="more"><button type="button" onClick=${more}>Show older ones</button></p>`}
    </section>
  `;
}

/** One that is named by the address and is none of the newest. @param {{ app: App, launchId: string }} props */
function Elsewhere({ app, launchId }) {
  const { value, error, reload } = useLaunch(launchId);
  if (value?.appId === app.id) return html`<${LaunchPanel} app=${app} launch=${value} isFull />`;
  if (value === undefined && error === undefined)
    return html`<p class="waiting" role="status"><span class="spinner"></span>Reading the launch…</p>`;
  const isUnknown = value !== undefined || /** @type {{ status?: number }} */ (error)?.status === 404;
  if (!isUnknown) return html`<${ProblemBox} error=${error} onRetry=${reload} />`;
  return html`<div class="empty small"><h2>There is no such launch</h2>
    <p>${app.name} has none of this id. <a href=${appUrl(app.id, 'launches')}>All launches</a></p></div>`;
}

/** @param {{ launch: Launch, isShown: boolean }} props */
function Row({ launch, isShown }) {
  const { env, resourceProfile, access } = launch;
  const words = [resourceProfile, access, ...env.map(({ key }) => key)].filter(Boolean);
  return html`
    <li>
      <a href=${appUrl(launch.appId, `launches/${launch.id}`)} aria-current=${isShown ? 'true' : undefined}>
        <${Status} status=${launch.status} />
        <span>Launched <${Ago} at=${launch.requestedAt} /></span>
        <span class="dim">${words.join(', ')}</span>
        <span class="dim end">${
          isChangeable(launch)
            ? html`<${Remaining} until=${launch.expiresAt} />`
            : launch.endedAt && html`ended <${Ago} at=${launch.endedAt} />`
        }</span>
      </a>
    </li>
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
      <p class="dim">A launch keeps its address for as long as it lives. It sleeps when nobody visits, wakes for the
        next one who does, and takes over newer builds without a visitor noticing.</p>
    </div>
  `;
}
