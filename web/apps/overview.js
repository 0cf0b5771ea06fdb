/** The app at a glance: the thing itself where it runs, else what comes next, beside the way from its source to here. */
import { ordinalOf, shortCommit } from '../lib/format.js';
import { html, useRef, useState } from '../lib/html.js';
import { appUrl } from '../lib/router.js';
import { Icon } from '../parts/icon.js';
import { Status } from '../parts/status.js';
import { Ago } from '../parts/time.js';
import { BuildPanel, isOpen } from './build.js';
import { isTooSmall } from './card.js';
import { IngestionActions, Timeline } from './ingestion.js';
import { LaunchPanel } from './launch-panel.js';
import { isAlive } from './launch-words.js';
import { useIngestions, useLaunches } from './list.js';

/** @import { App, Launch } from '../lib/shapes.js' */

/** How many of those that live are listed beside the one that is shown. */
const aliveMax = 5;

/** @param {{ app: App }} props */
export function Overview({ app }) {
  const launches = useLaunches(app.id).items;
  const alive = (launches ?? []).filter(isAlive);
  const shown = useShown(launches ?? [], alive);
  return html`
    <div class="two">
      <div class="panel-stack">
        <${Stage} app=${app} launch=${shown} />
        <${Pictures} app=${app} />
      </div>
      <aside class="panel-stack" aria-label="From source to launch">
        <${Way} app=${app} alive=${alive} />
      </aside>
    </div>
  `;
}

/**
 * The launch that matters most: what runs, what is on its way, and what was looked at just now when it has ended; or failed, and
 * nothing came after it.
 * @param {Launch[]} launches newest first @param {Launch[]} alive
 */
function useShown(launches, alive) {
  const before = useRef('');
  const [newest] = launches;
  const seen = launches.find(({ id }) => id === before.current);
  const shown =
    alive.find(({ status }) => status === 'running') ??
    alive[0] ??
    seen ??
    (newest?.status === 'failed' ? newest : undefined);
  before.current = shown?.id ?? '';
  return shown;
}

/** What matters most now. @param {{ app: App, launch: Launch | undefined }} props */
function Stage({ app, launch }) {
  const { build } = app;
  if (launch !== undefined) return html`<${LaunchPanel} key=${launch.id} app=${app} launch=${launch} />`;
  // The newest build matters while it goes on, when it failed, and when there is no image without it.
  const isShown = build !== null && (isOpen(build) || build.status === 'failed' || app.release === null);
  if (build !== null && isShown && app.status !== 'archived')
    return html`<${BuildPanel} key=${build.id} build=${build} isBrief />`;
  if (app.status === 'failed') {
    return html`
      <section class="panel panel-body failure-stage">
        <h2>The source could not be read</h2>
        <p class="failure">${app.statusMessage}</p>
        <p class="dim">Put it right in the repository or in the <a
          href=${appUrl(app.id, 'settings')}>settings</a>, then read it again.</p>
        <${IngestionActions} app=${app} />
      </section>
    `;
  }
  if (app.release !== null) {
    return html`
      <section class="panel panel-body stage-ready">
        <${Icon} name="play" />
        <div>
          <h2>Ready to launch</h2>
          <p class="dim">It starts in a sandbox of its own and is used right here.</p>
        </div>
      </section>
    `;
  }
  return html`
    <section class="panel panel-body center">
      <p class="waiting" role="status">${
        app.status !== 'archived' &&
        html`<span class="spinner"></span>
        `
      }${app.status === 'archived' ? 'Archived.' : 'On its way. This page follows it by itself.'}</p>
    </section>
  `;
}

/** From source to launch: three stations, each with where it stands. @param {{ app: App, alive: Launch[] }} props */
function Way({ app, alive }) {
  const { items } = useIngestions(app.id, 1);
  const run = items?.[0];
  const { build } = app;
  const running = alive.filter(({ status }) => status === 'running').length;
  return html`
    <ol class="way" role="list">
      <li class="panel panel-body">
        <h2><${Icon} name="git" />Source <${Status}
          status=${app.status === 'archived' ? (run?.status ?? 'ready') : app.status} /></h2>
        ${run && html`<${Timeline} run=${run} />`}
        <div class="way-foot"><${IngestionActions} app=${app} /><a
          href=${appUrl(app.id, 'source')}>All readings</a></div>
      </li>
      <li class="panel panel-body">
        <h2><${Icon} name="box" />Image ${
          build &&
          html`<${Status}
          status=${build.status === 'running' ? 'building' : build.status} />`
        }</h2>
        ${
          build === null
            ? html`<p class="dim">Built when the source has been read.</p>`
            : html`<p><span class="mono">${build.image ?? shortCommit(build.commit)}</span></p>`
        }
        ${
          build?.queuePosition != null &&
          html`<p class="waiting-for"><${Icon} name="clock" />${ordinalOf(build.queuePosition)} in the queue.
          ${build.waitingFor}</p>`
        }
        <p class="way-foot"><a href=${appUrl(app.id, 'builds')}>${build === null ? 'Builds' : 'Builds and logs'}
          </a></p>
      </li>
      <li class="panel panel-body">
        <h2><${Icon} name="play" />Launches ${
          running > 0 &&
          html`<${Status} status="running"
          word=${`${running} now`} />`
        }</h2>
        ${
          alive.length > 0
            ? html`<ul class="alive" role="list">${alive.slice(0, aliveMax).map(
                launch => html`<li key=${launch.id}><a href=${appUrl(app.id, `launches/${launch.id}`)}><${Status}
                status=${launch.status} /></a><span class="dim"><${Ago} at=${sinceOf(launch)} /></span></li>`,
              )}</ul>`
            : html`<p class="dim">${app.release === null ? 'Possible once there is an image.' : 'None at present.'}</p>`
        }
        <p class="way-foot"><a href=${appUrl(app.id, 'launches')}>All launches</a></p>
      </li>
    </ol>
  `;
}

/** Since when it is as it is, as far as that is known. @param {Launch} launch */
const sinceOf = ({ status, runningAt, sleptAt, requestedAt }) =>
  (status === 'running' ? runningAt : status === 'asleep' ? sleptAt : null) ?? requestedAt;

/** @param {{ app: App }} props */
function Pictures({ app }) {
  const [unfit, setUnfit] = useState(/** @type {string[]} */ ([]));
  const shown = app.previews.filter(
    ({ kind, url }) => ['image', 'gif', 'video'].includes(kind) && !unfit.includes(url),
  );
  if (shown.length === 0) return null;
  const drop = (/** @type {string} */ url) => setUnfit(before => [...before, url]);
  return html`
    <ul class="pictures" role="list" aria-label="Pictures of the app">
      ${shown.map(
        ({ kind, title, url }) => html`
          <li key=${url}>
            ${
              kind === 'video'
                ? html`<video src=${url} controls preload="metadata" aria-label=${title ?? 'Film of the app'}></video>`
                : html`
                  <img src=${url} alt=${title ?? ''} onError=${() => drop(url)}
                    onLoad=${(/** @type {Event} */ event) => isTooSmall(event) && drop(url)} />
                `
            }
            ${title && html`<p class="dim">${title}</p>`}
          </li>
        `,
      )}
    </ul>
  `;
}
