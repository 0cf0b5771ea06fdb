/** A labelled input with its hint, and what is wrong with it where something is. */
import { html, useId } from '../lib/html.js';
import { Icon } from './icon.js';

/**
 * @typedef {object} FieldProps
 * @property {string} name
 * @property {string} label
 * @property {string} value
 * @property {(value: string) => void} onInput
 * @property {unknown} [hint]
 * @property {unknown} [error]
 * @property {boolean} [required]
 * @property {boolean} [multiline]
 * @property {boolean} [isFirst] takes the focus when its dialog opens
 * @property {Record<string, unknown>} [attributes]
 */

/** @param {FieldProps} props */
export function Field({
  name,
  label,
  value,
  onInput,
  hint,
  error,
  required,
  multiline,
  isFirst,
  attributes,
}) {
  const id = useId();
  const described = [error && `${id}-error`, hint && `${id}-hint`].filter(Boolean).join(' ');
  const common = {
    id,
    name,
    value,
    'aria-invalid': error ? 'true' : undefined,
    'aria-describedby': described || undefined,
    'aria-required': required ? 'true' : undefined,
    'data-first': isFirst,
    spellcheck: multiline === true,
    autocomplete: 'off',
    onInput: (/** @type {InputEvent} */ event) =>
      onInput(/** @type {HTMLInputElement} */ (event.currentTarget).value),
    ...attributes,
  };
  return html`
    <div class=${`field ${error ? 'wrong' : ''}`}>
      <label for=${id}>${label}${!required && html`<span class="optional"> optional</span>`}</label>
      ${multiline ? html`<textarea rows="3" ...${common}></textarea>` : html`<input type="text" ...${common} />`}
      ${error && html`<p class="error" id=${`${id}-error`}><${Icon} name="warn" /><span>${error}</span></p>`}
      ${hint && html`<p class="hint" id=${`${id}-hint`}>${hint}</p>`}
    </div>
  `;
}

/**
 * One of a few.
 * @param {{ label: string, value: string | number, options: (string | number)[][], isFirst?: boolean,
 *   onChoose: (value: string) => void }} props
 */
export function Choice({ label, value, options, isFirst, onChoose }) {
  return html`
    <label class="choice">${label}
      <select data-first=${isFirst}
        onChange=${(/** @type {Event} */ event) => onChoose(/** @type {HTMLSelectElement} */ (event.currentTarget).value)}>
        ${options.map(
          ([
            key,
            name,
          ]) => html`<option key=${key} value=${key} selected=${String(key) === String(value)}>${name}
          </option>`,
        )}
      </select>
    </label>
  `;
}

/**
 * One of a few that need a sentence each.
 * @param {{ legend: string, name: string, value: string, options: string[][], onChoose: (value: string) => void }} props
 */
export function Radios({ legend, name, value, options, onChoose }) {
  return html`
    <fieldset class="radios">
      <legend>${legend}</legend>
      ${options.map(
        ([key = '', word, hint]) => html`
        <label class="check tall" key=${key}>
          <input type="radio" name=${name} value=${key} checked=${key === value} onChange=${() => onChoose(key)} />
          <span>${word}<span class="hint">${hint}</span></span>
        </label>
      `,
      )}
    </fieldset>
  `;
}

/**
 * Puts the focus on the first field in a form that is wrong, opening what hides it.
 * @param {HTMLFormElement | null} form
 */
export function focusFirstWrong(form) {
  const wrong = form?.querySelector('[aria-invalid="true"]');
  if (!(wrong instanceof HTMLElement)) return;
  wrong.closest('details')?.setAttribute('open', '');
  wrong.focus();
}
