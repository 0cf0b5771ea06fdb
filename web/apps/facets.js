/** What the apps found have in common, to narrow the search by; and what it is narrowed by now. */
import { html, useState } from '../lib/html.js';
import { Icon } from '../parts/icon.js';
import { statusWord } from '../parts/status.js';
import { searchFor } from './search-address.js';
import { tagsIn, tagText, toggleTag } from './search-words.js';

/** @import { Facets as FacetCounts } from '../lib/shapes.js' */
/** @import { Search } from './search-address.js' */

const tagsFirst = 12;

/** @typedef {{ name: string, count: number, isOn: boolean, toggle: () => void }} Choice */

/** @param {{ search: Search, facets: FacetCounts }} props */
export function Facets({ search, facets }) {
  const { q, status, owner } = search;
  const asked = new Set(tagsIn(q).map(tag => tag.toLowerCase()));
  const others = (/** @type {string} */ one) => status.filter(other => other !== one);
  const statuses = facets.statuses.map(({ value, count }) => ({
    name: statusWord(value),
    count,
    isOn: status.includes(value),
    toggle: () => searchFor({ status: status.includes(value) ? others(value) : [...status, value] }),
  }));
  const tags = facets.tags.map(tag => ({
    name: `${tag.key}:${tag.value}`,
    count: tag.count,
    isOn: asked.has(tagText(tag).toLowerCase()),
    toggle: () => searchFor({ q: toggleTag(q, tagText(tag)) }),
  }));
  const owners = facets.owners.map(({ value, count }) => ({
    name: value,
    count,
    isOn: owner === value,
    toggle: () => searchFor({ owner: owner === value ? '' : value }),
  }));
  return html`
    <details class="facets" open=${matchMedia('(min-width: 60rem)').matches}>
      <summary>Narrow down</summary>
      <nav aria-label="Narrow down">
        <${Group} title="Status" choices=${statuses} />
        <${Group} title="Tags" choices=${tags} />
        <${Group} title="Owner" choices=${owners} />
      </nav>
    </details>
  `;
}

/** @param {{ title: string, choices: Choice[] }} props */
function Group({ title, choices }) {
  const [isLong, setLong] = useState(false);
  if (choices.length === 0) return null;
  const shown = isLong ? choices : choices.slice(0, tagsFirst);
  const rest = choices.length - shown.length;
  return html`
    <div class="facet" role="group" aria-label=${title}>
      <h2>${title}</h2>
      <ul role="list">
        ${shown.map(
          ({ name, count, isOn, toggle }) => html`
            <li key=${name}>
              <button type="button" aria-pressed=${isOn ? 'true' : 'false'} onClick=${toggle}>
                <span class="name">${name}</span><span class="count">${count}</span>
              </button>
            </li>
          `,
        )}
      </ul>
      ${rest > 0 && html`<button type="button" class="link" onClick=${() => setLong(true)}>${rest} more</button>`}
    </div>
  `;
}

/** What is asked for beside the words, each with a way out. @param {{ search: Search }} props */
export function Chips({ search }) {
  const { tags, status, owner } = search;
  const chips = [
    ...tags.map(tag => ({ name: tag, drop: () => searchFor({ tags: tags.filter(one => one !== tag) }) })),
    ...status.map(one => ({
      name: statusWord(one),
      drop: () => searchFor({ status: status.filter(s => s !== one) }),
    })),
    ...(owner === '' ? [] : [{ name: `by ${owner}`, drop: () => searchFor({ owner: '' }) }]),
  ];
  if (chips.length === 0) return null;
  return html`
    <ul class="chips" role="list" aria-label="Narrowed down by">
      ${chips.map(
        ({ name, drop }) => html`
          <li key=${name}><button type="button" class="chip on" aria-label=${`Remove ${name}`} onClick=${drop}>
            ${name}<${Icon} name="close" /></button></li>
        `,
      )}
    </ul>
  `;
}

/** @param {{ search: Search, sort: string }} props */
export function Sort({ search, sort }) {
  const choose = (/** @type {Event} */ event) =>
    searchFor({ sort: /** @type {HTMLSelectElement} */ (event.currentTarget).value });
  const options = [
    ...(search.q === '' ? [] : [['relevance', 'Best match']]),
    ['updated', 'Newest change'],
    ['name', 'Name'],
  ];
  return html`
    <label class="sort">Sort by
      <select value=${sort} onChange=${choose}>
        ${options.map(
          ([value, name]) => html`<option key=${value} value=${value} selected=${value === sort}>
          ${name}</option>`,
        )}
      </select>
    </label>
  `;
}
