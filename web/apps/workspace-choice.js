/** In the form of a launch: which workspace it is to have. Nothing where the app has none. */
import { html } from '../lib/html.js';
import { Choice } from '../parts/field.js';
import { useWorkspaces } from './workspace-list.js';
import { whyNot } from './workspace-words.js';

/**
 * `value` is the id of a workspace, or empty for none.
 * @param {{ appId: string, value: string, onChoose: (id: string) => void }} props
 */
export function WorkspaceChoice({ appId, value, onChoose }) {
  const { items } = useWorkspaces(appId);
  if (items === undefined || items.length === 0) return null;
  const free = items.filter(one => whyNot(one) === '');
  const taken = items.length - free.length;
  return html`
    <${Choice} label="Keeps what it writes in" value=${value} onChoose=${onChoose}
      options=${[['', 'Nothing: it is thrown away'], ...free.map(({ id, name }) => [id, name])]} />
    ${taken > 0 && html`<p class="hint">${taken} more cannot be had now: in use, busy or full.</p>`}
  `;
}
