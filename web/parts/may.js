/** A button for what not everybody may do: it is always there, and where it is refused it says why. */
import { say } from '../lib/announce.js';
import { html } from '../lib/html.js';

/** @import { May } from '../lib/identity.js' */

/**
 * @typedef {object} MayProps
 * @property {May} may
 * @property {boolean} [isBusy]
 * @property {{ current: HTMLButtonElement | null }} [buttonRef]
 * @property {() => unknown} [onClick]
 * @property {unknown} [children]
 */

/**
 * Beside it goes a `Why` with the same `may`. Every other property is one of the button.
 * @param {MayProps & Record<string, unknown>} props
 */
export function MayButton({ may, isBusy = false, buttonRef, onClick, children, ...rest }) {
  const isRefused = may.why !== '';
  const press = (/** @type {MouseEvent} */ event) => {
    if (!isRefused) onClick?.();
    else {
      // A button of a form would send it.
      event.preventDefault();
      say(may.why);
    }
  };
  return html`
    <button type="button" ref=${buttonRef} ...${rest} aria-disabled=${isRefused || isBusy} data-refused=${isRefused}
      aria-describedby=${isRefused ? may.id : undefined} title=${isRefused ? may.why : rest.title} onClick=${press}>
      ${children}
    </button>
  `;
}

/** Why not, in a few words; nothing where all is well. @param {{ may: May, isUnseen?: boolean }} props */
export function Why({ may, isUnseen = false }) {
  if (may.why === '') return null;
  return html`<span id=${may.id} class=${isUnseen ? 'unseen' : 'why'}>${may.why}</span>`;
}
