/** The tags of an app: where each comes from, and adding and removing them by hand. */
import { say } from '../lib/announce.js';
import { write } from '../lib/api.js';
import { html, useRef, useState } from '../lib/html.js';
import { useMay } from '../lib/identity.js';
import { useAction } from '../lib/use.js';
import { Field } from '../parts/field.js';
import { Icon } from '../parts/icon.js';
import { MayButton, Why } from '../parts/may.js';
import { ProblemBox, sentenceOf } from '../parts/problem.js';
import { readTags } from './register-words.js';
import { tagText } from './search-words.js';

/** @import { App, Tag } from '../lib/shapes.js' */

/** @param {string} source */
const sourceWord = source =>
  source === 'author'
    ? 'given when it was added'
    : source === 'manual'
      ? 'added by hand'
      : `found: ${source.replace(/^auto:/, '')}`;

/** @param {{ app: App }} props */
export function Tags({ app }) {
  const [isAdding, setAdding] = useState(false);
  const opener = useRef(/** @type {HTMLButtonElement | null} */ (null));
  const path = `/apps/${encodeURIComponent(app.id)}/tags`;
  const remove = useAction(async (/** @type {Tag} */ { key, value }) => {
    await write('DELETE', `${path}/${encodeURIComponent(key)}/${encodeURIComponent(value)}`);
    say(`${key}:${value} was removed`);
    opener.current?.focus();
  });
  const may = useMay('apps:write', app.id);
  const isOpen = app.status !== 'archived';
  return html`
    <div class="app-tags">
      <ul class="tags" role="list" aria-label="Tags">
        ${app.tags.map(
          tag => html`
            <li key=${tagText(tag)} class=${tag.source.startsWith('auto') ? 'found' : ''}>
              <a class="button chip" href=${`/?q=${encodeURIComponent(tagText(tag))}`}
                title=${sourceWord(tag.source)}>
                <span><span class="key">${tag.key}</span>:${tag.value}</span><span
                  class="unseen">, ${sourceWord(tag.source)}</span>
              </a>
              ${
                isOpen &&
                may.why === '' &&
                !tag.source.startsWith('auto') &&
                html`<button type="button" class="bare tag-remove"
                  aria-label=${`Remove ${tag.key}:${tag.value}`} onClick=${() => remove.run(tag)}><${Icon}
                  name="close" /></button>`
              }
            </li>
          `,
        )}
        ${
          isOpen &&
          html`
          <li>
            <${MayButton} may=${may} buttonRef=${opener} class="chip" aria-expanded=${isAdding ? 'true' : 'false'}
              onClick=${() => setAdding(!isAdding)}>
              <${Icon} name="plus" />Add a tag
            <//>
            <${Why} may=${may} isUnseen />
          </li>
        `
        }
      </ul>
      ${remove.problem && html`<${ProblemBox} error=${remove.problem} />`}
      ${
        isAdding &&
        html`<${AddTag} path=${path} onDone=${() => {
          setAdding(false);
          opener.current?.focus();
        }} />`
      }
    </div>
  `;
}

/** @param {{ path: string, onDone: () => void }} props */
function AddTag({ path, onDone }) {
  const [text, setText] = useState('');
  const add = useAction(async () => {
    const tags = readTags(text);
    const tag = tags[0];
    if (tags.length !== 1 || tag === undefined || tag.value === '')
      throw new Error('Write one pair, like team:alpha');
    await write('POST', path, tag);
    say(`${tag.key}:${tag.value} was added`);
    onDone();
  });
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    void add.run();
  };
  const keys = (/** @type {KeyboardEvent} */ event) => event.key === 'Escape' && onDone();
  return html`
    <form class="add-tag" onSubmit=${submit} onKeyDown=${keys} novalidate>
      <${Field} name="tag" label="Tag" required value=${text} onInput=${setText}
        hint="A pair, like team:alpha or kind:&quot;web app&quot;"
        error=${add.problem && sentenceOf(add.problem)} attributes=${{ autofocus: true, ref: focus }} />
      <button aria-disabled=${add.isBusy}>Add</button>
    </form>
  `;
}

const focus = (/** @type {HTMLElement | null} */ element) => element?.focus();
