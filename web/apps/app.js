/** The page of one app: what it is, and a section for each thing that can be done with it. */
import { getJson, Problem } from '../lib/api.js';
import { html, useEffect, useRef } from '../lib/html.js';
import { useKeys } from '../lib/keys.js';
import { useLive } from '../lib/live.js';
import { appUrl, go } from '../lib/router.js';
import { useSpoken, useTitle } from '../lib/use.js';
import { ProblemBox } from '../parts/problem.js';
import { statusWord } from '../parts/status.js';
import { AppHead, ArchivedNotice } from './app-head.js';
import { BuildSection } from './build.js';
import { HistorySection } from './history.js';
import { SourceSection } from './ingestion.js';
import { LaunchSection } from './launch.js';
import { Overview } from './overview.js';
import { SettingsSection } from './settings.js';
import { WorkspaceSection } from './workspace.js';

/** @import { App } from '../lib/shapes.js' */

/** @type {readonly { path: string, name: string, show: any }[]} */
const sections = [
  { path: '', name: 'Overview', show: Overview },
  { path: 'launches', name: 'Launches', show: LaunchSection },
  { path: 'builds', name: 'Builds', show: BuildSection },
  { path: 'source', name: 'Source', show: SourceSection },
  { path: 'history', name: 'History', show: HistorySection },
  { path: 'settings', name: 'Settings', show: SettingsSection },
  { path: 'workspaces', name: 'Workspaces', show: WorkspaceSection },
];

/** @param {{ appId: string, section: string, itemId: string }} props */
export function AppPage({ appId, section, itemId }) {
  const live = useLive(appId, {
    load: async options =>
      /** @type {App} */ ((await getJson(`/apps/${encodeURIComponent(appId)}`, options)).data),
    isAbout: event => event.data.appId === appId,
  });
  const app = live.value;
  const shown = sections.find(({ path }) => path === section);
  useTitle(app === undefined ? appId : shown?.path ? `${shown.name} · ${app.name}` : app.name);
  useSpoken(statusWords(app));
  const nav = useRef(/** @type {HTMLElement | null} */ (null));
  const isThere = app !== undefined;
  // On a small screen the sections are wider than it; the present one is always in sight.
  useEffect(() => {
    const present = nav.current?.querySelector('[aria-current]');
    present?.scrollIntoView({ block: 'nearest', inline: 'center' });
  }, [section, isThere]);
  useKeys(key => {
    const at = Number(key) - 1;
    const wanted = sections[at];
    if (wanted === undefined) return false;
    go(appUrl(appId, wanted.path));
    return true;
  });

  const isUnknown = live.error instanceof Problem && (live.error.status === 404 || live.error.status === 400);
  if (isUnknown || shown === undefined)
    return html`<${NotHere} what=${shown === undefined ? 'page' : 'app'} name=${appId} />`;
  if (app === undefined && live.error !== undefined) {
    return html`<${ProblemBox} what="The app cannot be shown" error=${live.error} onRetry=${live.reload} />`;
  }
  if (app === undefined)
    return html`<p class="waiting" role="status"><span class="spinner"></span>Reading ${appId}…</p>`;
  return html`
    <article class="app">
      ${live.error && html`<${ProblemBox} what="This may be old" error=${live.error} onRetry=${live.reload} />`}
      <${AppHead} app=${app} />
      ${app.status === 'archived' && html`<${ArchivedNotice} app=${app} />`}
      <nav ref=${nav} class="sections" aria-label="Sections of the app">
        ${sections.map(
          ({ path, name }) => html`
            <a key=${path} href=${appUrl(appId, path)} aria-current=${path === section ? 'page' : undefined}>
              ${name}</a>
          `,
        )}
      </nav>
      <${shown.show} key=${shown.path} app=${app} itemId=${itemId} />
    </article>
  `;
}

/** How its source and its build stand. @param {App | undefined} app */
const statusWords = app =>
  app &&
  `${app.name}: source ${statusWord(app.status)}${app.build ? `, build ${statusWord(app.build.status)}` : ''}`;

/** @param {{ what: string, name: string }} props */
function NotHere({ what, name }) {
  return html`
    <section class="empty">
      <h1>There is no such ${what}</h1>
      <p class="lead">${
        what === 'app'
          ? html`No app has the id <b>${name}
        </b>. It may have been misspelt.`
          : 'The address may be misspelt.'
      }</p>
      <p class="actions">
        <a class="button primary" href="/">Show all apps</a>
        ${
          what === 'app' &&
          html`<a class="button"
          href=${`/?q=${encodeURIComponent(name.replaceAll('-', ' '))}`}>Search for it</a>`
        }
      </p>
    </section>
  `;
}
