/** One app among others: how it looks, how it stands, what it is. */
import { hueOf } from '../lib/format.js';
import { html, useState } from '../lib/html.js';
import { appUrl } from '../lib/router.js';
import { Status, statusWord } from '../parts/status.js';
import { Ago } from '../parts/time.js';
import { tagsIn, tagText } from './search-words.js';

/** @import { App, Tag } from '../lib/shapes.js' */

const tagsMax = 5;

/** @param {{ app: App, q: string, onTag: (tag: Tag) => void, onOpen: () => void }} props */
export function Card({ app, q, onTag, onOpen }) {
  const asked = new Set(tagsIn(q).map(tag => tag.toLowerCase()));
  const isAsked = (/** @type {Tag} */ tag) => asked.has(tagText(tag).toLowerCase());
  // What was asked for is seen first, then what people said of it, then what was found.
  const rank = (/** @type {Tag} */ tag) => (isAsked(tag) ? 0 : tag.source.startsWith('auto') ? 2 : 1);
  const tags = [...app.tags].sort((a, b) => rank(a) - rank(b)).slice(0, tagsMax);
  return html`
    <li class="card">
      <${Picture} app=${app} />
      <div class="card-body">
        <h2><a href=${appUrl(app.id)} data-app=${app.id} onClick=${onOpen}>${app.name}</a></h2>
        <p class="card-status"><${AppStatus} app=${app} /></p>
        ${app.description && html`<p class="description">${app.description}</p>`}
        ${
          tags.length > 0 &&
          html`
          <ul class="tags" role="list" aria-label="Tags">
            ${tags.map(
              tag => html`
                <li key=${`${tag.key}:${tag.value}`}>
                  <button type="button" class="chip" aria-pressed=${isAsked(tag) ? 'true' : 'false'}
                    onClick=${() => onTag(tag)}>
                    <span><span class="key">${tag.key}</span>:${tag.value}</span>
                  </button>
                </li>
              `,
            )}
          </ul>
        `
        }
        <p class="card-foot dim">${
          app.build?.finishedAt
            ? html`${buildWord(app)} <${Ago}
          at=${app.build.finishedAt} />`
            : html`Changed <${Ago} at=${app.updatedAt} />`
        }</p>
      </div>
    </li>
  `;
}

/** @param {App} app */
const buildWord = app =>
  app.build?.status === 'succeeded' ? 'Built' : `Build ${statusWord(app.build?.status ?? '').toLowerCase()}`;

/** Where the app is on its way, in one or two words. @param {{ app: App }} props */
export function AppStatus({ app }) {
  const { build, launch } = app;
  if (launch.running > 0) {
    const word = launch.running === 1 ? 'Running' : `${launch.running} running`;
    return html`<${Status} status="running" word=${word} />`;
  }
  if (app.status !== 'ready' || build === null) return html`<${Status} status=${app.status} />`;
  if (build.status === 'queued') return html`<${Status} status="queued" word="Build queued" />`;
  if (build.status === 'running') return html`<${Status} status="building" />`;
  if (build.status === 'failed') return html`<${Status} status="failed" word="Build failed" />`;
  return html`<${Status} status="ready" word=${app.release === null ? 'Ready' : 'Ready to launch'} />`;
}

/** Smaller ones are badges and dots, not what an app looks like. */
const pictureWidthMin = 120;

/** Whether a picture that has just been loaded is none to be shown. @param {Event} event */
export const isTooSmall = event =>
  /** @type {HTMLImageElement} */ (event.currentTarget).naturalWidth < pictureWidthMin;

/** The app's own picture, else one made of its name. @param {{ app: App }} props */
function Picture({ app }) {
  const [unfit, setUnfit] = useState('');
  const url = app.previews.find(({ kind }) => kind === 'image' || kind === 'gif')?.url;
  if (url === undefined || url === unfit) {
    return html`<div class="picture made" style=${{ '--hue': hueOf(app.id) }} aria-hidden="true">
      ${initialsOf(app.name)}</div>`;
  }
  const loaded = (/** @type {Event} */ event) => isTooSmall(event) && setUnfit(url);
  return html`<div class="picture"><img src=${url} alt="" loading="lazy" onLoad=${loaded}
    onError=${() => setUnfit(url)} /></div>`;
}

/** @param {string} name */
const initialsOf = name =>
  name
    .split(/[^\p{L}\p{N}]+/u)
    .filter(Boolean)
    .slice(0, 2)
    .map(word => Array.from(word)[0]?.toUpperCase())
    .join('');
