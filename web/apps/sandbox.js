/** How an app is confined while it runs, in words; and for administrators a way to change it. */
import { toast } from '../lib/announce.js';
import { Problem, write } from '../lib/api.js';
import { html, useRef, useState } from '../lib/html.js';
import { useMay } from '../lib/identity.js';
import { useAction } from '../lib/use.js';
import { Dialog } from '../parts/dialog.js';
import { Choice, Field, focusFirstWrong } from '../parts/field.js';
import { Icon } from '../parts/icon.js';
import { MayButton, Why } from '../parts/may.js';
import { ProblemBox } from '../parts/problem.js';
import { hostErrors, hostsIn, sandboxSentences } from './sandbox-words.js';

/** @import { App } from '../lib/shapes.js' */

const hostsHint =
  'One a line, such as api.example.org, *.example.org or api.example.org:8443. Empty: it speaks to nobody. ' +
  'Addresses of this network are refused, whatever their names are.';
const runtimes = [
  ['default', 'That of its host, shared'],
  ['runsc', 'One of its own (gVisor)'],
];

/** @param {{ app: App }} props */
export function SandboxPanel({ app }) {
  const [isOpen, setOpen] = useState(false);
  const may = useMay('admin', app.id);
  return html`
    <section class="panel panel-body" aria-labelledby="sandbox-title">
      <h2 id="sandbox-title">How it is confined</h2>
      <ul class="sentences">
        ${sandboxSentences(app.sandbox).map(sentence => html`<li key=${sentence}>${sentence}</li>`)}
        <li>What it writes goes to memory and is gone with it. It sees no file of its host.</li>
      </ul>
      <p class="actions"><${MayButton} may=${may} aria-haspopup="dialog" onClick=${() => setOpen(true)}>
        <${Icon} name="lock" />Change…<//><${Why} may=${may} /></p>
      ${isOpen && html`<${SandboxDialog} app=${app} onClose=${() => setOpen(false)} />`}
    </section>
  `;
}

/** @param {{ app: App, onClose: () => void }} props */
function SandboxDialog({ app, onClose }) {
  const { sandbox } = app;
  const [hosts, setHosts] = useState(() => sandbox.egress.join('\n'));
  const [allowRoot, setRoot] = useState(sandbox.allowRoot);
  const [runtime, setRuntime] = useState(sandbox.runtime);
  const form = useRef(/** @type {HTMLFormElement | null} */ (null));
  const sent = useRef(/** @type {string[]} */ ([]));
  const save = useAction(async () => {
    sent.current = hostsIn(hosts);
    try {
      const body = { egress: sent.current, allowRoot, runtime };
      await write('PUT', `/apps/${encodeURIComponent(app.id)}/sandbox`, body);
      toast('Saved, for what is launched from now on');
      onClose();
    } catch (error) {
      requestAnimationFrame(() => focusFirstWrong(form.current));
      throw error;
    }
  });
  const wrong = save.problem instanceof Problem ? hostErrors(save.problem.errors, sent.current) : [];
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    void save.run();
  };
  return html`
    <${Dialog} title=${`How ${app.name} is confined`} onClose=${onClose} wide>
      <form ref=${form} onSubmit=${submit} novalidate>
        ${save.problem && wrong.length === 0 && html`<${ProblemBox} what="It was not saved" error=${save.problem} />`}
        <p class="dim">It counts for what is launched from now on; what runs stays as it is.</p>
        <${Field} name="egress" label="Hosts it may speak to" multiline isFirst value=${hosts} onInput=${setHosts}
          error=${wrong.length > 0 && `${wrong.join('; ')}.`}
          hint=${hostsHint}
          attributes=${{ class: 'mono', spellcheck: false }} />
        <label class="check tall">
          <input type="checkbox" name="allowRoot" checked=${allowRoot} aria-describedby="root-risk"
            onChange=${() => setRoot(!allowRoot)} />
          <span>Its processes may be root inside of their container<span class="hint" id="root-risk">Many images are
            made this way. Root in a container has no more rights on the host, but of a hole in the kernel it makes
            more. Allow it only for apps whose source you trust.</span></span>
        </label>
        <${Choice} label="Kernel" value=${runtime} options=${runtimes} onChoose=${setRuntime} />
        ${
          runtime === 'runsc' &&
          html`<p class="hint">Slower, and safer for what nobody knows. Where the engine has no runsc, its
          launches fail and say so.</p>`
        }
        <footer>
          <button type="button" onClick=${onClose}>Cancel</button>
          <button class="primary" aria-disabled=${save.isBusy}>Save</button>
        </footer>
      </form>
    <//>
  `;
}
