/** Where the page speaks: read out politely, and shown in the corner. */
import { dismiss, spoken, toasts } from '../lib/announce.js';
import { html } from '../lib/html.js';
import { useStore } from '../lib/store.js';
import { Icon } from './icon.js';

export function LiveRegion() {
  const text = useStore(spoken);
  return html`<p class="unseen" role="status" id="spoken">${text}</p>`;
}

export function Toasts() {
  const shown = useStore(toasts);
  return html`
    <ol class="toasts" role="status" aria-label="Notices">
      ${shown.map(
        ({ id, text, tone }) => html`
          <li key=${id} class=${`toast ${tone}`}>
            <${Icon} name=${tone === 'good' ? 'check' : 'warn'} /><span>${text}</span>
            <button type="button" class="bare" aria-label="Dismiss" onClick=${() => dismiss(id)}><${Icon}
              name="close" /></button>
          </li>
        `,
      )}
    </ol>
  `;
}
