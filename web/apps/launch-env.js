/** The environment of an app, variable by variable. */
import { Problem } from '../lib/api.js';
import { html, useRef } from '../lib/html.js';
import { Field } from '../parts/field.js';
import { Icon } from '../parts/icon.js';

const envMax = 32;
const keyRule = 'Use letters, digits and underscores, and do not begin with a digit.';

/** @typedef {{ id: number, key: string, value: string }} Row */

let lastRow = 0;
/** @param {{ key: string, value: string }} [pair] @returns {Row} */
export const newRow = ({ key, value } = { key: '', value: '' }) => {
  lastRow += 1;
  return { id: lastRow, key, value };
};

/** Empty rows are not sent. @param {readonly Row[]} rows */
export const sentRows = rows => rows.filter(({ key, value }) => key !== '' || value !== '');

/** @param {{ rows: Row[], wrong: Map<string, string>, onRows: (rows: Row[]) => void }} props */
export function Env({ rows, wrong, onRows }) {
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
export function wrongRows(problem, rows) {
  const wrong = new Map();
  if (!(problem instanceof Problem)) return wrong;
  const sent = sentRows(rows).map(row => rows.indexOf(row));
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
