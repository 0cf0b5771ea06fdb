/** The keys there are. */
import { html } from '../lib/html.js';
import { areKeysOn, turnKeys } from '../lib/keys.js';
import { useStore } from '../lib/store.js';
import { Dialog } from './dialog.js';

/** @type {readonly (readonly [string, readonly string[]])[]} */
const keys = [
  ['Search from anywhere', ['/']],
  ['Choose a suggestion', ['↓', '↑', 'Enter']],
  ['Complete the word', ['Tab']],
  ['Close suggestions, then empty the box', ['Esc']],
  ['From card to card', ['←', '→', '↑', '↓', 'Home', 'End']],
  ['Add an app', ['n']],
  ['Sections of an app', ['1', '…', '6']],
  ['Back to the apps', ['g']],
  ['Look back in time, and back to now', ['t']],
  ['This list', ['?']],
];

/** @param {{ onClose: () => void }} props */
export function HelpDialog({ onClose }) {
  const isOn = useStore(areKeysOn);
  return html`
    <${Dialog} title="Keyboard" onClose=${onClose}>
      <dl class="keys">
        ${keys.map(
          ([what, pressed]) => html`
            <div key=${what}><dt>${what}</dt><dd>${pressed.map(key => html`<kbd key=${key}>${key}</kbd> `)}</dd></div>
          `,
        )}
      </dl>
      <p
        class="dim">Search words begin words of the name, the tags and the description; all of them must fit.
        ${' '}<code>key:value</code> finds a tag.</p>
      <label class="check">
        <input type="checkbox" checked=${isOn} onChange=${() => turnKeys(!isOn)} /> Single keys work
      </label>
    <//>
  `;
}
