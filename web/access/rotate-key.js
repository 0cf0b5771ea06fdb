/** Replaces a key by a new one, while the one before stays good for as long as its users need to change. */
import { write } from '../lib/api.js';
import { html, useState } from '../lib/html.js';
import { useMay, useWho } from '../lib/identity.js';
import { useAction } from '../lib/use.js';
import { Dialog } from '../parts/dialog.js';
import { Choice } from '../parts/field.js';
import { MayButton, Why } from '../parts/may.js';
import { ProblemBox } from '../parts/problem.js';

/** @import { ApiKey } from '../lib/shapes.js' */
/** @typedef {{ name: string, key: string }} Shown */

const overlaps = [
  [0, 'not at all: it is refused at once'],
  [3_600, '1 hour'],
  [86_400, '1 day'],
  [604_800, '7 days'],
];

/**
 * Only for the owner: the new key opens as much as the old one.
 * @param {{ apiKey: ApiKey, onShow: (shown: Shown) => void }} props
 */
export function RotateKey({ apiKey, onShow }) {
  const { name, owner } = apiKey;
  const [isOpen, setOpen] = useState(false);
  const scope = useMay('keys:write');
  const isMine = useWho().subject === owner;
  const may = isMine ? scope : { ...scope, why: `Only ${owner} can rotate it` };
  return html`
    <${MayButton} may=${may} class="small" aria-haspopup="dialog" aria-label=${`Rotate ${name}…`}
      onClick=${() => setOpen(true)}>Rotate…<//>
    <${Why} may=${may} />
    ${isOpen && html`<${RotateDialog} apiKey=${apiKey} onShow=${onShow} onClose=${() => setOpen(false)} />`}
  `;
}

/** @param {{ apiKey: ApiKey, onShow: (shown: Shown) => void, onClose: () => void }} props */
function RotateDialog({ apiKey, onShow, onClose }) {
  const { id, name } = apiKey;
  const [overlapSeconds, setOverlap] = useState(86_400);
  const rotate = useAction(async () => {
    const { key } = await write('POST', `/auth/api-keys/${id}/rotate`, { overlapSeconds }, null);
    onClose();
    onShow({ name, key });
  });
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    void rotate.run();
  };
  return html`
    <${Dialog} title=${`Rotate ${name}`} onClose=${onClose}>
      <form onSubmit=${submit}>
        <p>A new key takes its place, with the same scopes and the same end.</p>
        <${Choice} label="The key before stays good for" value=${overlapSeconds} options=${overlaps} isFirst
          onChoose=${(/** @type {string} */ text) => setOverlap(Number(text))} />
        ${rotate.problem && html`<${ProblemBox} error=${rotate.problem} />`}
        <footer>
          <button type="button" onClick=${onClose}>Cancel</button>
          <button class="primary" aria-disabled=${rotate.isBusy}>Rotate it</button>
        </footer>
      </form>
    <//>
  `;
}
