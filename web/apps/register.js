/** The dialog that gives AppHub a repository. The server alone decides what is right; its words are shown at the fields. */
import { toast } from '../lib/announce.js';
import { Problem, randomKey, write } from '../lib/api.js';
import { html, useRef, useState } from '../lib/html.js';
import { appUrl, go } from '../lib/router.js';
import { useAction } from '../lib/use.js';
import { Dialog } from '../parts/dialog.js';
import { Field, focusFirstWrong } from '../parts/field.js';
import { ProblemBox } from '../parts/problem.js';
import { idFrom, nameFrom, readTags, words } from './register-words.js';

/** @typedef {import('./register-words.js').Form} Form */

/** @type {Form} */
const blank = {
  repoUrl: '',
  id: '',
  name: '',
  description: '',
  tags: '',
  ref: '',
  dockerfilePath: '',
  homepage: '',
  owner: '',
};

/** @param {{ onClose: () => void }} props */
export function RegisterDialog({ onClose }) {
  const [form, setForm] = useState(blank);
  const [own, setOwn] = useState({ id: false, name: false });
  const element = useRef(/** @type {HTMLFormElement | null} */ (null));
  const sent = useRef({ body: '', key: '' });
  const register = useAction(async () => {
    const body = bodyOf(form);
    const text = JSON.stringify(body);
    // Sent again after a broken connection it is the same request; changed, it is another one.
    if (sent.current.body !== text) sent.current = { body: text, key: randomKey() };
    try {
      const { id } = await write('POST', '/apps', body, sent.current.key);
      onClose();
      toast(`${form.name} was added`);
      go(appUrl(id));
    } catch (error) {
      requestAnimationFrame(() => focusFirstWrong(element.current));
      throw error;
    }
  });

  const set = (/** @type {keyof Form} */ name) => (/** @type {string} */ value) => {
    const next = { ...form, [name]: value };
    if (name === 'id' || name === 'name') setOwn({ ...own, [name]: value !== '' });
    if (name === 'repoUrl') {
      if (!own.id) next.id = idFrom(value);
      if (!own.name) next.name = nameFrom(value);
    }
    setForm(next);
  };
  const errors = errorsOf(register.problem);
  const field = (/** @type {keyof Form} */ name, more = {}) => html`
    <${Field} name=${name} ...${words[name]} value=${form[name]} onInput=${set(name)} error=${errors[name]}
      ...${more} />
  `;
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    void register.run();
  };
  const isElsewhere = register.problem !== undefined && Object.keys(errors).length === 0;
  return html`
    <${Dialog} title="Add an app" onClose=${onClose} wide>
      <form ref=${element} onSubmit=${submit} novalidate>
        ${isElsewhere && html`<${ProblemBox} what="The app was not added" error=${register.problem} />`}
        ${field('repoUrl', { isFirst: true, attributes: { inputmode: 'url' } })}
        <div class="pair">${field('name')} ${field('id')}</div>
        ${field('description', { multiline: true })} ${field('tags')}
        <details>
          <summary>More: branch, Dockerfile, home page, owner</summary>
          <div class="pair">${field('ref')} ${field('dockerfilePath')}</div>
          <div class="pair">${field('homepage')} ${field('owner')}</div>
        </details>
        <footer>
          <button type="button" onClick=${onClose}>Cancel</button>
          <button class="primary" aria-disabled=${register.isBusy}>${register.isBusy ? 'Adding…' : 'Add app'}</button>
        </footer>
      </form>
    <//>
  `;
}

/** @param {Form} form */
function bodyOf(form) {
  /** @type {Record<string, unknown>} */
  const body = {};
  for (const [name, value] of Object.entries(form)) if (value.trim() !== '') body[name] = value.trim();
  if (form.tags.trim() !== '') body.tags = readTags(form.tags);
  return body;
}

/** What is wrong, by field. @param {Error | undefined} problem @returns {Partial<Record<keyof Form, unknown>>} */
function errorsOf(problem) {
  if (!(problem instanceof Problem)) return {};
  if (problem.code === 'already-exists' && problem.data !== undefined) {
    const { id, name, repoUrl } = problem.data;
    return {
      id: html`This id is taken by <a href=${appUrl(id)}>${name}</a> from ${repoUrl}. Choose another one.`,
    };
  }
  /** @type {Partial<Record<keyof Form, unknown>>} */
  const errors = {};
  for (const { field, message } of problem.errors) {
    const name = /** @type {keyof Form} */ (field.split('.')[0]);
    if (!(name in words) || errors[name] !== undefined) continue;
    const isPattern = message.startsWith('must match') || message.startsWith('must NOT have fewer');
    const said = isPattern ? words[name].right : message;
    errors[name] = sentence(said ?? message);
  }
  return errors;
}

/** @param {string} text */
const sentence = text => `${text[0]?.toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? '' : '.'}`;
