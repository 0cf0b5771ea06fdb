/** The first page: what is looked for, how many there are, and each of them as a card. All of it follows the log. */
import { say } from '../lib/announce.js';
import { getJson } from '../lib/api.js';
import { countOf } from '../lib/format.js';
import { html, useEffect, useLayoutEffect, useRef, useState } from '../lib/html.js';
import { useLive } from '../lib/live.js';
import { usePlace } from '../lib/router.js';
import { useTitle } from '../lib/use.js';
import { ProblemBox } from '../parts/problem.js';
import { calmly } from './calmly.js';
import { Card } from './card.js';
import { Chips, Facets, Sort } from './facets.js';
import { queryOf, searchFor, searchOf } from './search-address.js';
import { EmptyHub, NothingFound } from './search-empty.js';
import { moveAmongCards } from './search-keys.js';
import { tagText, toggleTag } from './search-words.js';

/** @import { App, AppPage } from '../lib/shapes.js' */

const pageSize = 24;
const pageMax = 100;
const shownMax = 500;
/** A busy hub has many events a second; its list is calm. */
const everyMs = 1_000;

/** What was shown last for a query, so that going back is at once. @type {Map<string, AppPage>} */
const known = new Map();
const knownMax = 20;
/** The card that was opened last: going back puts the focus there. */
let lastOpened = '';

/** @param {{ onRegister: () => void }} props */
export function SearchPage({ onRegister }) {
  const { query } = usePlace();
  const search = searchOf(query);
  const key = queryOf(search);
  const fresh = { key, count: known.get(key)?.data.length ?? pageSize, isSeen: false };
  const shown = useRef(fresh);
  if (shown.current.key !== key) shown.current = fresh;
  useTitle(search.q);

  const live = useLive(key, {
    first: known.get(key),
    everyMs,
    isAbout: () => true,
    load: async options => {
      const page = await loadShown(key, Math.max(pageSize, shown.current.count), options);
      // Whoever comes back finds the present order; only what is being looked at stays where it is.
      const before = shown.current.isSeen ? known.get(key) : undefined;
      const merged = before === undefined ? page : { ...page, data: calmly(before.data, page.data) };
      shown.current.isSeen = true;
      remember(key, merged);
      return merged;
    },
  });
  // What is on the screen stays there until the next answer is in.
  const last = useRef(/** @type {AppPage | undefined} */ (undefined));
  if (live.value !== undefined) last.current = live.value;
  const page = live.value ?? last.current;
  useSpokenCount(key, live.value);

  if (page === undefined && live.error !== undefined) {
    return html`<${ProblemBox} what="Apps cannot be listed" error=${live.error} onRetry=${live.reload} />`;
  }
  if (page === undefined) return html`<${Skeleton} />`;
  const isEverything = key === '';
  if (page.data.length === 0 && isEverything) return html`<${EmptyHub} onRegister=${onRegister} />`;
  const more = (/** @type {number} */ count) => {
    shown.current = { ...shown.current, count };
    live.reload();
  };
  return html`
    <div class=${`search-page ${live.isStale || live.value === undefined ? 'stale' : ''}`}>
      <${Facets} search=${search} facets=${page.meta.facets} />
      <section class="results" aria-labelledby="results-title">
        <div class="results-head">
          <h1 id="results-title" tabindex="-1">${titleOf(page, isEverything)}</h1>
          <${Sort} search=${search} sort=${page.meta.sort} />
        </div>
        <${Chips} search=${search} />
        ${live.error && html`<${ProblemBox} what="This may be old" error=${live.error} onRetry=${live.reload} />`}
        ${
          page.data.length === 0
            ? html`<${NothingFound} search=${search} />`
            : html`<${Cards} apps=${page.data}
          q=${search.q} />`
        }
        <${More} page=${page} onMore=${more} />
      </section>
    </div>
  `;
}

/** @param {AppPage} page @param {boolean} isEverything */
function titleOf({ meta: { total } }, isEverything) {
  const count = total.exact ? countOf(total.count, 'app') : `More than ${total.count} apps`;
  return isEverything ? count : `${count} found`;
}

/** @param {{ apps: App[], q: string }} props */
function Cards({ apps, q }) {
  const list = useRef(/** @type {HTMLElement | null} */ (null));
  useLayoutEffect(() => {
    if (lastOpened === '' || (document.activeElement !== document.body && document.activeElement !== null))
      return;
    const link = list.current?.querySelector(`a[data-app="${lastOpened}"]`);
    if (link instanceof HTMLElement) link.focus();
    lastOpened = '';
  }, []);
  const onTag = (/** @type {{ key: string, value: string }} */ tag) =>
    searchFor({ q: toggleTag(q, tagText(tag)) });
  return html`
    <ul class="cards" role="list" ref=${list} onKeyDown=${moveAmongCards}>
      ${apps.map(
        app =>
          html`<${Card} key=${app.id} app=${app} q=${q} onTag=${onTag} onOpen=${() => {
            lastOpened = app.id;
          }} />`,
      )}
    </ul>
  `;
}

/**
 * Shows the next page and puts the focus on its first card.
 * @param {{ page: AppPage, onMore: (count: number) => void }} props
 */
function More({ page, onMore }) {
  const count = page.data.length;
  const [from, setFrom] = useState(-1);
  useLayoutEffect(() => {
    if (from < 0 || count <= from) return;
    const link = document.querySelectorAll('.cards a[data-app]')[from];
    if (link instanceof HTMLElement) link.focus();
    say(`${count - from} more apps, ${count} in all`);
    setFrom(-1);
  }, [count, from]);
  if (page.meta.nextCursor === null) return null;
  if (count >= shownMax)
    return html`<p class="more dim">The first ${count} are shown. A more exact search shows the others.</p>`;
  const isLoading = from >= 0;
  const ask = () => {
    if (isLoading) return;
    setFrom(count);
    onMore(Math.min(shownMax, count + pageSize));
  };
  return html`<p class="more"><button type="button" aria-disabled=${isLoading} onClick=${ask}>
    ${isLoading ? 'Loading…' : 'Show more'}</button></p>`;
}

/**
 * Says how many there are when the search has changed, not whenever an app somewhere changes.
 * @param {string} key
 * @param {AppPage | undefined} page
 */
function useSpokenCount(key, page) {
  const saidFor = useRef(/** @type {string | undefined} */ (undefined));
  useEffect(() => {
    if (page === undefined || saidFor.current === key) return;
    const isFirst = saidFor.current === undefined;
    saidFor.current = key;
    if (!isFirst) say(page.data.length === 0 ? 'No apps found' : titleOf(page, key === ''));
  }, [key, page]);
}

function Skeleton() {
  return html`
    <div class="search-page" role="status" aria-label="Looking for apps">
      <ul class="cards skeleton" role="list" aria-hidden="true">
        ${Array.from({ length: 6 }, (_, at) => html`<li class="card" key=${at}></li>`)}
      </ul>
    </div>
  `;
}

/**
 * As many apps as are shown, in as few questions as that takes.
 * @param {string} key
 * @param {number} count
 * @param {{ after?: string | undefined, signal: AbortSignal }} options
 * @returns {Promise<AppPage>}
 */
async function loadShown(key, count, options) {
  const query = new URLSearchParams(key);
  /** @type {AppPage | undefined} */
  let page;
  while (page === undefined || (page.data.length < count && page.meta.nextCursor !== null)) {
    query.set('limit', String(Math.min(pageMax, count - (page?.data.length ?? 0))));
    if (page?.meta.nextCursor != null) query.set('cursor', page.meta.nextCursor);
    const next = /** @type {AppPage} */ (await getJson(`/apps?${query}`, options));
    page =
      page === undefined
        ? next
        : { data: [...page.data, ...next.data], meta: { ...page.meta, nextCursor: next.meta.nextCursor } };
  }
  return page;
}

/** @param {string} key @param {AppPage} page */
function remember(key, page) {
  known.delete(key);
  known.set(key, page);
  const [oldest] = known.keys();
  if (known.size > knownMax && oldest !== undefined) known.delete(oldest);
}
