/**
 * The search box: an editable combobox with a list popup (WAI-ARIA 1.2, APG "Editable Combobox With List Autocomplete").
 * The focus stays in the box; aria-activedescendant tells which suggestion is meant. Tab completes while there is something
 * to complete, and goes on otherwise, so nobody is caught.
 */
import { say } from '../lib/announce.js';
import { getJson } from '../lib/api.js';
import { countOf } from '../lib/format.js';
import { html, useEffect, useLayoutEffect, useRef, useState } from '../lib/html.js';
import { place } from '../lib/router.js';
import { Icon } from '../parts/icon.js';
import { presentSearch, searchFor } from './search-address.js';
import { complete, wordAt } from './search-words.js';

/** @import { Suggestion } from '../lib/shapes.js' */

export const searchBoxId = 'search';
const listId = 'search-suggestions';
const suggestMs = 120;
const searchMs = 250;
const suggestionsMax = 8;

/** @typedef {{ items: Suggestion[], active: number, word: string }} List */
/** @type {List} */
const closed = { items: [], active: -1, word: '' };

export function SearchBox() {
  const input = useRef(/** @type {HTMLInputElement | null} */ (null));
  const [text, setText] = useState(presentSearch().q);
  const [list, setList] = useState(closed);
  const caret = useRef(/** @type {number | undefined} */ (undefined));
  const address = useAddress(input, setText);
  const suggestions = useSuggestions(setList, address.known);

  // Preact sets the value first; a caret can only be put into a text that is there.
  useLayoutEffect(() => {
    if (caret.current === undefined) return;
    input.current?.setSelectionRange(caret.current, caret.current);
    caret.current = undefined;
  }, [text]);

  const change = (/** @type {string} */ next, /** @type {number} */ at) => {
    setText(next);
    address.typed(next, at);
    suggestions.ask(next, at);
  };
  const close = () => {
    suggestions.drop();
    setList(closed);
  };
  const accept = (/** @type {Suggestion} */ suggestion) => {
    const at = input.current?.selectionStart ?? text.length;
    const done = complete(text, at, suggestion.value);
    caret.current = done.caret;
    close();
    setText(done.text);
    if (suggestion.type === 'key') suggestions.ask(done.text, done.caret);
    else if (place.get().path === '/') address.enter(done.text);
    say(`${suggestion.label} is in the search`);
  };
  const isOpen = list.items.length > 0;
  const active = list.items[list.active];

  return html`
    <form class="search-box" role="search" onSubmit=${(/** @type {Event} */ event) => event.preventDefault()}>
      <label class="unseen" for=${searchBoxId}>Search apps by words and tags</label>
      <${Icon} name="search" />
      <input
        ref=${input}
        id=${searchBoxId}
        type="text"
        role="combobox"
        inputmode="search"
        enterkeyhint="search"
        autocomplete="off"
        autocapitalize="off"
        spellcheck=${false}
        placeholder="Search by words or key:value"
        aria-autocomplete="list"
        aria-expanded=${isOpen ? 'true' : 'false'}
        aria-controls=${listId}
        aria-activedescendant=${active === undefined ? undefined : optionId(list.active)}
        value=${text}
        onInput=${(/** @type {InputEvent} */ event) => {
          const box = /** @type {HTMLInputElement} */ (event.currentTarget);
          change(box.value, box.selectionStart ?? box.value.length);
        }}
        onKeyDown=${(/** @type {KeyboardEvent} */ event) =>
          onKey(event, {
            list,
            text,
            setList,
            close,
            accept,
            open: () => suggestions.ask(text, input.current?.selectionStart ?? text.length, true),
            enter: () => address.enter(text),
            clear: () => change('', 0),
          })}
        onBlur=${close}
      />
      ${text === '' && html`<kbd class="hint-key" aria-hidden="true">/</kbd>`}
      <${Options} list=${list} onAccept=${accept} />
    </form>
  `;
}

const optionId = (/** @type {number} */ at) => `search-suggestion-${at}`;

/** @param {{ list: List, onAccept: (suggestion: Suggestion) => void }} props */
function Options({ list, onAccept }) {
  return html`
    <ul id=${listId} role="listbox" aria-label="Suggestions" hidden=${list.items.length === 0}>
      ${list.items.map(
        (item, at) => html`
          <li
            key=${item.value}
            id=${optionId(at)}
            role="option"
            aria-selected=${at === list.active ? 'true' : 'false'}
            onPointerDown=${(/** @type {Event} */ event) => event.preventDefault()}
            onClick=${() => onAccept(item)}
          >
            <span><${Label} label=${item.label} word=${list.word} />${
              item.type === 'key' &&
              html`<span
              class="dim">:…</span>`
            }</span>
            <span class="dim">${countOf(item.count, 'app')}</span>
          </li>
        `,
      )}
    </ul>
  `;
}

/** What was typed already, set off from what would be added. @param {{ label: string, word: string }} props */
function Label({ label, word }) {
  const at = word === '' ? -1 : label.indexOf(word);
  if (at < 0) return label;
  return html`${label.slice(0, at)}<b>${word}</b>${label.slice(at + word.length)}`;
}

/**
 * @param {KeyboardEvent} event
 * @param {{ list: List, text: string, setList(list: List): void, close(): void, accept(suggestion: Suggestion): void,
 *   open(): void, enter(): void, clear(): void }} box
 */
function onKey(event, box) {
  if (event.isComposing || event.ctrlKey || event.metaKey) return;
  const { list } = box;
  const count = list.items.length;
  const active = list.items[list.active];
  const move = (/** @type {number} */ to) => box.setList({ ...list, active: to });
  const first = list.items[0];
  switch (event.key) {
    case 'ArrowDown':
      if (count === 0 || event.altKey) box.open();
      else move(list.active === count - 1 ? -1 : list.active + 1);
      break;
    case 'ArrowUp':
      if (event.altKey) box.close();
      else if (count === 0) return;
      else move(list.active === -1 ? count - 1 : list.active - 1);
      break;
    case 'Enter':
      if (active !== undefined) box.accept(active);
      else {
        box.close();
        box.enter();
      }
      break;
    case 'Tab':
      if (event.shiftKey || event.altKey || first === undefined) return;
      if (active === undefined && list.word === '') return;
      box.accept(active ?? first);
      break;
    case 'Escape':
      if (count > 0) box.close();
      else if (box.text !== '') box.clear();
      else return;
      break;
    case 'Home':
    case 'End':
      // These move the caret; then no suggestion is meant any more.
      if (list.active !== -1) move(-1);
      return;
    default:
      return;
  }
  event.preventDefault();
}

/**
 * Asks for suggestions a moment after the last key, and takes only the answer to the last question.
 * @param {(list: List) => void} setList
 * @param {(text: string, at: number, suggestions: Suggestion[]) => void} onAnswer
 */
function useSuggestions(setList, onAnswer) {
  const asking = useRef(
    /** @type {{ timer?: ReturnType<typeof setTimeout>, stop?: AbortController }} */ ({}),
  );
  const drop = () => {
    clearTimeout(asking.current.timer);
    asking.current.stop?.abort();
  };
  useEffect(() => drop, []);
  const ask = (/** @type {string} */ text, /** @type {number} */ at, isWanted = false) => {
    drop();
    const word = wordAt(text, at).before.replace('"', '').toLowerCase();
    if (word === '' && !isWanted) return setList(closed);
    const stop = new AbortController();
    asking.current.stop = stop;
    const look = async () => {
      const query = new URLSearchParams({ q: text.slice(0, at), limit: `${suggestionsMax}` });
      const { data } = await getJson(`/suggest?${query}`, { signal: stop.signal });
      if (stop.signal.aborted) return;
      onAnswer(text, at, data);
      const items = data.filter((/** @type {Suggestion} */ { value }) => value !== word);
      setList({ items, active: -1, word });
      if (items.length > 0) say(`${countOf(items.length, 'suggestion')}; arrow keys choose, Tab completes`);
    };
    // Without suggestions the box still searches.
    asking.current.timer = setTimeout(() => look().catch(() => undefined), isWanted ? 0 : suggestMs);
  };
  return { ask, drop };
}

/**
 * The box and the address, each following the other. One visit to the box is one step back in the history, however much is typed.
 * @param {{ current: HTMLInputElement | null }} input @param {(text: string) => void} setText
 */
function useAddress(input, setText) {
  const state = useRef({ isTyping: false, q: presentSearch().q, timer: /** @type {any} */ (undefined) });
  const whole = useRef(/** @type {Set<string>} */ (new Set()));
  const typed = (/** @type {string} */ text, /** @type {number} */ at) => {
    clearTimeout(state.current.timer);
    if (place.get().path !== '/') return;
    const { from, to, before } = wordAt(text, at);
    // Nothing has the half of a tag: until it is whole, the rest is searched for.
    const isHalf = before.includes(':') && !whole.current.has(before.toLowerCase());
    state.current.timer = setTimeout(() => {
      const isNew = put(isHalf ? text.slice(0, from) + text.slice(to) : text);
      state.current.isTyping ||= isNew;
    }, searchMs);
  };
  const put = (/** @type {string} */ q) => {
    clearTimeout(state.current.timer);
    state.current.q = q.trim();
    const { count, path } = place.get();
    searchFor({ q: q.trim() }, { replace: state.current.isTyping && path === '/' });
    return place.get().count !== count;
  };
  useEffect(() => {
    const stop = place.watch(({ path }) => {
      const { q } = presentSearch();
      if (q === state.current.q) return;
      clearTimeout(state.current.timer);
      state.current = { isTyping: false, q, timer: undefined };
      // While another page is shown the box is free for the next search.
      setText(path === '/' ? q : '');
    });
    const box = input.current;
    const leave = () => {
      state.current.isTyping = false;
    };
    box?.addEventListener('focus', leave);
    return () => {
      stop();
      box?.removeEventListener('focus', leave);
      clearTimeout(state.current.timer);
    };
  }, []);
  return {
    typed,
    /**
     * Suggestions tell which tags there are: one of them is searched for as soon as it is typed in full.
     * @param {string} text
     * @param {number} at
     * @param {Suggestion[]} found
     */
    known(text, at, found) {
      for (const { type, value } of found) if (type === 'pair') whole.current.add(value);
      if (whole.current.has(wordAt(text, at).before.toLowerCase())) typed(text, at);
    },
    /** @param {string} q */
    enter(q) {
      put(q);
      state.current.isTyping = false;
    },
  };
}
