/** When there is nothing to show: what could be done about it. */
import { html } from '../lib/html.js';
import { useMay } from '../lib/identity.js';
import { Icon } from '../parts/icon.js';
import { MayButton, Why } from '../parts/may.js';
import { searchFor } from './search-address.js';
import { tagsIn, toggleTag } from './search-words.js';

/** @import { Search } from './search-address.js' */

/** @param {{ onRegister: () => void }} props */
export function EmptyHub({ onRegister }) {
  const may = useMay('apps:write');
  return html`
    <section class="empty" aria-labelledby="empty-title">
      <h1 id="empty-title" tabindex="-1">Nothing here yet</h1>
      <p
        class="lead">Give AppHub the address of a Git repository with a Dockerfile. It does the rest, and you can watch.</p>
      <ol class="how">
        <li><${Icon} name="git" /><div><h2>Read</h2>
          <p>The repository is cloned; its name, tags, pictures and Dockerfile are found.</p></div></li>
        <li><${Icon} name="box" /><div><h2>Build</h2>
          <p>Docker builds an image of the newest commit. Its log is there line by line.</p></div></li>
        <li><${Icon} name="play" /><div><h2>Run</h2>
          <p>One key starts it in a sandbox, and you use it here in the page.</p></div></li>
      </ol>
      <p><${MayButton} may=${may} class="primary large" onClick=${onRegister}><${Icon}
        name="plus" />Add the first app<//></p>
      <${Why} may=${may} />
      <p class="dim">From a terminal: <code>apphub apps add https://example.org/team/app.git</code></p>
      <p class="dim"><${ToArchive} /></p>
    </section>
  `;
}

function ToArchive() {
  const look = () => searchFor({ status: ['archived'] });
  return html`<button type="button" class="link" onClick=${look}>Look among the archived ones</button>`;
}

/** @param {{ search: Search }} props */
export function NothingFound({ search }) {
  const { q, tags, status, owner } = search;
  const inText = tagsIn(q);
  const words = inText.reduce(toggleTag, q).trim();
  const filters = [
    ...inText.map(tag => ({ name: tag, drop: () => searchFor({ q: toggleTag(q, tag) }) })),
    ...tags.map(tag => ({ name: tag, drop: () => searchFor({ tags: tags.filter(one => one !== tag) }) })),
    ...status.map(one => ({
      name: `status ${one}`,
      drop: () => searchFor({ status: status.filter(s => s !== one) }),
    })),
    ...(owner === '' ? [] : [{ name: `owner ${owner}`, drop: () => searchFor({ owner: '' }) }]),
  ];
  const everything = { q: '', tags: [], status: [], owner: '' };
  return html`
    <div class="empty small">
      <h2>No app fits all of this</h2>
      <ul class="ways">
        ${
          words !== '' &&
          html`
          <li>Every word must begin a word of the name, a tag or the description. Try fewer or shorter ones.</li>
          `
        }
        ${filters.map(
          ({ name, drop }) =>
            html`<li key=${name}><button type="button" class="link" onClick=${drop}>Search without <b>${name}
              </b></button></li>`,
        )}
        <li>Archived apps are left out. <${ToArchive} /></li>
        <li><button type="button" class="link" onClick=${() => searchFor(everything)}>Show all apps</button></li>
      </ul>
    </div>
  `;
}
