/** Above every section of an app: its name, how it stands, where it comes from, its tags. */
import { toast } from '../lib/announce.js';
import { write } from '../lib/api.js';
import { shortCommit } from '../lib/format.js';
import { html } from '../lib/html.js';
import { useMay } from '../lib/identity.js';
import { useAction } from '../lib/use.js';
import { Icon } from '../parts/icon.js';
import { MayButton, Why } from '../parts/may.js';
import { ProblemBox } from '../parts/problem.js';
import { AppStatus } from './card.js';
import { LaunchButtons } from './launch-buttons.js';
import { Tags } from './tag.js';

/** @import { App } from '../lib/shapes.js' */

/** @param {{ app: App }} props */
export function AppHead({ app }) {
  const isWeb = /^https?:/.test(app.repoUrl);
  return html`
    <header class="app-head">
      <div class="app-title">
        <div>
          <h1 tabindex="-1">${app.name}</h1>
          ${app.title && app.title !== app.name && html`<p class="dim">${app.title}</p>`}
        </div>
        <${AppStatus} app=${app} />
        ${app.status !== 'archived' && html`<div class="app-launch"><${LaunchButtons} app=${app} /></div>`}
      </div>
      ${app.description && html`<p class="app-description">${app.description}</p>`}
      <ul class="facts" role="list">
        <li><${Icon} name="git" />${
          isWeb
            ? html`<a href=${app.repoUrl} target="_blank" rel="noreferrer">
          ${app.repoUrl}</a>`
            : html`<span class="mono">${app.repoUrl}</span>`
        }</li>
        ${
          app.commit &&
          html`<li title=${app.commit}><span class="mono">${shortCommit(app.commit)}</span>
          ${app.branch && html` on ${app.branch}`}</li>`
        }
        ${
          app.homepage &&
          html`<li><${Icon} name="external" /><a href=${app.homepage} target="_blank"
          rel="noreferrer">${hostOf(app.homepage)}</a></li>`
        }
        ${app.owner && html`<li>by ${app.owner}</li>`}
      </ul>
      <${Tags} app=${app} />
    </header>
  `;
}

/** @param {string} url */
const hostOf = url => URL.parse(url)?.host ?? url;

/** @param {{ app: App }} props */
export function ArchivedNotice({ app }) {
  const again = useAction(async () => {
    const { id, name, repoUrl, ref, homepage, owner } = app;
    const tags = app.tags
      .filter(({ source }) => !source.startsWith('auto'))
      .map(({ key, value }) => ({ key, value }));
    await write('POST', '/apps', { id, name, repoUrl, ref, homepage, owner, tags });
    toast(`${name} is back`);
  });
  const may = useMay('apps:write', app.id);
  return html`
    <div class="notice">
      <p>This app is archived: it is not shown, built or launched. Its history stays.</p>
      <${MayButton} may=${may} class="small" isBusy=${again.isBusy} onClick=${() => again.run()}>Bring it back<//>
      <${Why} may=${may} />
      ${again.problem && html`<${ProblemBox} error=${again.problem} />`}
    </div>
  `;
}
