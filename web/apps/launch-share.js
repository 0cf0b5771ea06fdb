/** Passing a private launch on: a link for somebody, and the end of all of them. */
import { toast } from '../lib/announce.js';
import { write } from '../lib/api.js';
import { html, useEffect, useRef, useState } from '../lib/html.js';
import { useMay } from '../lib/identity.js';
import { useAction } from '../lib/use.js';
import { Dialog } from '../parts/dialog.js';
import { Choice, Field } from '../parts/field.js';
import { Icon } from '../parts/icon.js';
import { MayButton } from '../parts/may.js';
import { ProblemBox } from '../parts/problem.js';
import { Remaining } from '../parts/time.js';

/** @import { App, Launch } from '../lib/shapes.js' */

const times = [
  [3_600, '1 hour'],
  [86_400, '1 day'],
  [604_800, '7 days'],
  [2_592_000, '30 days'],
];

/** @param {{ app: App, launch: Launch }} props */
export function ShareButton({ app, launch }) {
  const [isOpen, setOpen] = useState(false);
  const may = useMay('apps:launch', app.id);
  return html`
    <${MayButton} may=${may} class="small" aria-haspopup="dialog" onClick=${() => setOpen(true)}>
      <${Icon} name="key" />Share…<//>
    ${isOpen && html`<${ShareDialog} app=${app} launch=${launch} onClose=${() => setOpen(false)} />`}
  `;
}

/** @param {{ app: App, launch: Launch, onClose: () => void }} props */
function ShareDialog({ app, launch, onClose }) {
  const [ttlSeconds, setTtl] = useState(86_400);
  const [link, setLink] = useState({ url: '', expiresAt: '' });
  const field = useRef(/** @type {HTMLElement | null} */ (null));
  const share = useAction(async () =>
    setLink(await write('POST', `/launches/${launch.id}/links`, { ttlSeconds })),
  );
  const revoke = useAction(async () => {
    await write('DELETE', `/launches/${launch.id}/links`);
    setLink({ url: '', expiresAt: '' });
    toast('No link to it is good any more');
  });
  const copy = useAction(async () => {
    await navigator.clipboard.writeText(link.url);
    toast('Copied');
  });
  useEffect(() => {
    const input = field.current?.querySelector('input');
    if (link.url !== '' && input != null) {
      input.focus();
      input.select();
    }
  }, [link.url]);
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    void share.run();
  };
  return html`
    <${Dialog} title=${`Share ${app.name}`} onClose=${onClose}>
      <form onSubmit=${submit}>
        <p class="hint">Whoever has the link is let in, without signing in here. This launch is what they see;
          when it ends, so does the link.</p>
        ${share.problem && html`<${ProblemBox} error=${share.problem} />`}
        ${revoke.problem && html`<${ProblemBox} what="They were not revoked" error=${revoke.problem} />`}
        <${Choice} label="Good for" value=${ttlSeconds} options=${times}
          onChoose=${(/** @type {string} */ text) => setTtl(Number(text))} />
        ${
          link.url !== '' &&
          html`<div ref=${field} class="shared">
          <${Field} name="link" label="Link" required value=${link.url} onInput=${() => undefined}
            hint=${html`<${Remaining} until=${link.expiresAt} />`}
            attributes=${{ class: 'mono', readonly: true }} />
          <button type="button" class="small" onClick=${() => copy.run()}><${Icon} name="list" />Copy</button>
          ${copy.problem && html`<p class="hint" role="status">Copy it by hand: it is selected.</p>`}
        </div>`
        }
        <footer>
          <button type="button" class="danger" aria-disabled=${revoke.isBusy} onClick=${() => revoke.run()}>
            Revoke all links</button>
          <button class="primary" aria-disabled=${share.isBusy}>Make a link</button>
        </footer>
      </form>
    <//>
  `;
}
