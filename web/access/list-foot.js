/** Below a list of keys or sessions: more of it, and those that have ended. */
import { html } from '../lib/html.js';

/** @param {{ more: (() => void) | undefined, ended: number, isShown: boolean, onToggle: () => void }} props */
export function ListFoot({ more, ended, isShown, onToggle }) {
  if (more === undefined && ended === 0) return null;
  return html`
    <p class="more actions">
      ${more && html`<button type="button" onClick=${more}>Show older ones</button>`}
      ${
        ended > 0 &&
        html`<button type="button" class="link" aria-expanded=${isShown ? 'true' : 'false'} onClick=${onToggle}>
          ${isShown ? 'Hide those that have ended' : `Show ${ended} that ended`}</button>`
      }
    </p>
  `;
}
