/** A modal dialog: the browser keeps the focus inside, closes it on Escape and gives the focus back. */
import { html, useId, useLayoutEffect, useRef } from '../lib/html.js';
import { Icon } from './icon.js';

/**
 * Shown as long as it is rendered. `onClose` is called when its reader closes it, whichever way.
 * @param {{ title: string, onClose: () => void, children?: unknown, wide?: boolean }} props
 */
export function Dialog({ title, onClose, children, wide = false }) {
  const ref = useRef(/** @type {HTMLDialogElement | null} */ (null));
  const isGone = useRef(false);
  const titleId = useId();
  useLayoutEffect(() => {
    const dialog = ref.current;
    dialog?.showModal();
    const first = dialog?.querySelector('[data-first]');
    if (first instanceof HTMLElement) first.focus();
    return () => {
      isGone.current = true;
      // Closing gives the focus back to where it was; taking the element away alone would lose it.
      dialog?.close();
    };
  }, []);
  return html`
    <dialog
      ref=${ref}
      class=${wide ? 'wide' : ''}
      aria-labelledby=${titleId}
      onCancel=${(/** @type {Event} */ event) => {
        // A file chooser inside would send this too; only the dialog's own counts.
        if (event.target !== event.currentTarget) return;
        event.preventDefault();
        onClose();
      }}
      onClose=${() => !isGone.current && onClose()}
      onClick=${(/** @type {MouseEvent} */ event) => event.target === event.currentTarget && onClose()}
    >
      <div class="sheet">
        <header>
          <h2 id=${titleId}>${title}</h2>
          <button type="button" class="bare" aria-label="Close" onClick=${onClose}><${Icon} name="close" /></button>
        </header>
        ${children}
      </div>
    </dialog>
  `;
}

/**
 * Asks before something that cannot be taken back.
 * @param {{ title: string, verb: string, isBusy: boolean, onYes: () => void, onClose: () => void, children?: unknown }} props
 */
export function Confirm({ title, verb, isBusy, onYes, onClose, children }) {
  return html`
    <${Dialog} title=${title} onClose=${onClose}>
      <div class="prose">${children}</div>
      <footer>
        <button type="button" data-first onClick=${onClose}>Keep it</button>
        <button type="button" class="danger" aria-disabled=${isBusy} onClick=${onYes}>${verb}</button>
      </footer>
    <//>
  `;
}
