/** How an app is to be launched: its environment, its size, its time. */
import { Problem, randomKey } from '../lib/api.js';
import { html, useRef, useState } from '../lib/html.js';
import { useAction } from '../lib/use.js';
import { Dialog } from '../parts/dialog.js';
import { Choice, Field, focusFirstWrong } from '../parts/field.js';
import { Icon } from '../parts/icon.js';
import { ProblemBox } from '../parts/problem.js';

/** @import { App } from '../lib/shapes.js' */

const envMax = 32;
const keyRule = 'Use letters, digits and underscores, and do not begin with a digit.';

const sizes = [
  ['small', 'Small: 256 MB, half a core'],
  ['medium', 'Medium: 512 MB, one core'],
  ['large', 'Large: 1 GB, two cores'],
];
const times = [
  [900, '15 minutes'],
  [3_600, '1 hour'],
  [14_400, '4 hours'],
  [86_400, '1 day'],
  [604_800, '7 days'],
];

let lastRow = 0;
const newRow = () => {
  lastRow += 1;
  return { id: lastRow, key: '', value: '' };
};

/** @param {{ app: App, onClose: () => void, onLaunch: (appId: string, body: object, key?: string) => Promise<void> }} props */
export function LaunchDialog({ app, onClose, onLaunch }) {
  const [rows, setRows] = useState(() => [newRow()]);
  const [resourceProfile, setProfile] = useState('small');
  const [ttlSeconds, setTtl] = useState(3_600);
  const form = useRef(/** @type {HTMLFormElement | null} */ (null));
  const sent = useRef({ body: '', key: '' });
  const launch = useAction(async () => {
    const env = rows
      .filter(({ key, value }) => key !== '' || value !== '')
      .map(({ key, value }) => ({ key, value }));
    const body = { env, resourceProfile, ttlSeconds };
    const text = JSON.stringify(body);
    if (sent.current.body !== text) sent.current = { body: text, key: randomKey() };
    try {
      await onLaunch(app.id, body, sent.current.key);
      onClose();
    } catch (error) {
      requestAnimationFrame(() => focusFirstWrong(form.current));
      throw error;
    }
  });
  const wrong = wrongRows(launch.problem, rows);
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    void launch.run();
  };
  return html`
    <${Dialog} title=${`Launch ${app.name}`} onClose=${onClose} wide>
      <form ref=${form} onSubmit=${submit} novalidate>
        ${launch.problem && wrong.size === 0 && html`<${ProblemBox} error=${launch.problem} />`}
        <${Env} rows=${rows} wrong=${wrong} onRows=${setRows} />
        <div class="pair">
          <${Choice} label="Size" value=${resourceProfile} options=${sizes} onChoose=${setProfile} />
          <${Choice} label="Stops after" value=${ttlSeconds} options=${times}
            onChoose=${(/** @type {string} */ text) => setTtl(Number(text))} />
        </div>
        <footer>
          <button type="button" onClick=${onClose}>Cancel</button>
          <button class="primary" aria-disabled=${launch.isBusy}><${Icon} name="play" />Launch</button>
        </footer>
      </form>
    <//>
  `;
}

/** @typedef {{ id: number, key: string, value: string }} Row */

/** @param {{ rows: Row[], wrong: Map<string, string>, onRows: (rows: Row[]) => void }} props */
function Env({ rows, wrong, onRows }) {
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  const focusLater = (/** @type {string} */ selector) =>
    requestAnimationFrame(() => {
      const found = box.current?.querySelector(selector);
      if (found instanceof HTMLElement) found.focus();
    });
  const change = (/** @type {number} */ id, /** @type {Partial<Row>} */ changes) =>
    onRows(rows.map(row => (row.id === id ? { ...row, ...changes } : row)));
  const remove = (/** @type {number} */ id) => {
    onRows(rows.filter(row => row.id !== id));
    focusLater('.env-add');
  };
  const add = () => {
    const row = newRow();
    onRows([...rows, row]);
    focusLater(`[data-row="${row.id}"] input`);
  };
  return html`
    <fieldset ref=${box} class="env">
      <legend>Environment</legend>
      <p class="hint">Plain settings; everybody who sees the history can read them. No secrets.</p>
      ${rows.map(
        ({ id, key, value }, at) => html`
          <div class="env-row" key=${id} data-row=${id}>
            <${Field} name=${`env.${at}.key`} label=${`Name ${at + 1}`} required value=${key}
              error=${wrong.get(`${at}.key`)} isFirst=${at === 0}
              attributes=${{ class: 'mono', placeholder: 'GREETING' }}
              onInput=${(/** @type {string} */ text) => change(id, { key: text })} />
            <${Field} name=${`env.${at}.value`} label=${`Value ${at + 1}`} required value=${value}
              error=${wrong.get(`${at}.value`)}
              attributes=${{ class: 'mono' }}
              onInput=${(/** @type {string} */ text) => change(id, { value: text })} />
            <button type="button" class="bare" aria-label=${`Remove row ${at + 1}`} onClick=${() => remove(id)}>
              <${Icon} name="close" /></button>
          </div>
        `,
      )}
      ${
        rows.length < envMax
          ? html`<button type="button" class="small env-add" onClick=${add}><${Icon}
            name="plus" />Add a variable</button>`
          : html`<p class="hint env-add" tabindex="-1">${envMax} variables are the most.</p>`
      }
    </fieldset>
  `;
}

/**
 * What is wrong, by the place of the row on the screen.
 * @param {Error | undefined} problem
 * @param {Row[]} rows
 * @returns {Map<string, string>}
 */
function wrongRows(problem, rows) {
  const wrong = new Map();
  if (!(problem instanceof Problem)) return wrong;
  // Empty rows were not sent.
  const sent = rows.flatMap(({ key, value }, at) => (key !== '' || value !== '' ? [at] : []));
  for (const { field, message } of problem.errors) {
    const [, at = '', part = ''] = /^env\.(\d+)\.(key|value)$/.exec(field) ?? [];
    const row = sent[Number(at)];
    if (at === '' || row === undefined) continue;
    wrong.set(
      `${row}.${part}`,
      message.startsWith('must match') ? keyRule : `${message[0]?.toUpperCase()}${message.slice(1)}.`,
    );
  }
  return wrong;
}
