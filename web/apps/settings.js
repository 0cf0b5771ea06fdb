/** What the owner says of an app: changing it, and taking the app away. */
import { toast } from '../lib/announce.js';
import { Problem, write } from '../lib/api.js';
import { html, useRef, useState } from '../lib/html.js';
import { useMay } from '../lib/identity.js';
import { go } from '../lib/router.js';
import { useAction } from '../lib/use.js';
import { Confirm } from '../parts/dialog.js';
import { Field, focusFirstWrong } from '../parts/field.js';
import { MayButton, Why } from '../parts/may.js';
import { ProblemBox } from '../parts/problem.js';
import { BuildInputPanel } from './build-input.js';
import { HostPanel } from './hosts.js';
import { words } from './register-words.js';
import { SandboxPanel } from './sandbox.js';

/** @import { App } from '../lib/shapes.js' */

const names = /** @type {const} */ ([
  'name',
  'description',
  'repoUrl',
  'ref',
  'dockerfilePath',
  'homepage',
  'owner',
]);

/** @param {{ app: App }} props */
export function SettingsSection({ app }) {
  if (app.status === 'archived') return html`<p class="dim">An archived app cannot be changed.</p>`;
  return html`<div class="two"><${Edit} app=${app} />
    <aside class="panel-stack">
      <${HostPanel} app=${app} />
      <${BuildInputPanel} app=${app} /><${SandboxPanel} app=${app} /><${Archive} app=${app} />
    </aside></div>`;
}

/** @param {{ app: App }} props */
function Edit({ app }) {
  // Only what was touched: the rest goes on following the log while one types.
  const [changes, setChanges] = useState(/** @type {Record<string, string>} */ ({}));
  const may = useMay('apps:write', app.id);
  const form = useRef(/** @type {HTMLFormElement | null} */ (null));
  const changed = names.filter(name => changes[name] !== undefined && changes[name] !== (app[name] ?? ''));
  const save = useAction(async () => {
    const body = Object.fromEntries(
      changed.map(name => [
        name,
        changes[name]?.trim() || (name === 'name' || name === 'repoUrl' ? '' : null),
      ]),
    );
    try {
      await write('PATCH', `/apps/${encodeURIComponent(app.id)}`, body);
      // What was typed while it was being saved is not saved yet.
      setChanges(typed =>
        Object.fromEntries(Object.entries(typed).filter(([name, text]) => text !== changes[name])),
      );
      toast('Saved');
    } catch (error) {
      requestAnimationFrame(() => focusFirstWrong(form.current));
      throw error;
    }
  });
  const errors = new Map(
    save.problem instanceof Problem ? save.problem.errors.map(({ field, message }) => [field, message]) : [],
  );
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    void save.run();
  };
  return html`
    <form ref=${form} class="panel panel-body" onSubmit=${submit} novalidate aria-label="Change the app">
      ${save.problem && errors.size === 0 && html`<${ProblemBox} what="It was not saved" error=${save.problem} />`}
      ${names.map(
        name => html`
          <${Field} key=${name} name=${name} ...${words[name]} multiline=${name === 'description'}
            value=${changes[name] ?? app[name] ?? ''}
            error=${errors.get(name)} onInput=${(/** @type {string} */ value) => setChanges({ ...changes, [name]: value })} />
        `,
      )}
      <footer>
        <span class="dim" role="status">${changed.length > 0 ? 'Not saved yet' : ''}</span>
        <${Why} may=${may} />
        <button type="button" aria-disabled=${changed.length === 0} onClick=${() => setChanges({})}>Undo</button>
        <${MayButton} may=${may} type="submit" class="primary" isBusy=${save.isBusy || changed.length === 0}>Save<//>
      </footer>
    </form>
  `;
}

/** @param {{ app: App }} props */
function Archive({ app }) {
  const [isAsking, setAsking] = useState(false);
  const may = useMay('apps:write', app.id);
  const archive = useAction(async () => {
    await write('DELETE', `/apps/${encodeURIComponent(app.id)}`);
    setAsking(false);
    toast(`${app.name} is archived`);
    go('/');
  });
  return html`
    <section class="panel panel-body">
      <h2>Archive</h2>
      <p
        class="dim">It is no longer shown, built or launched, and its launches stop. It can be brought back.</p>
      <p class="actions"><${MayButton} may=${may} class="danger" aria-haspopup="dialog"
        onClick=${() => setAsking(true)}>Archive…<//><${Why} may=${may} /></p>
      ${
        isAsking &&
        html`
        <${Confirm} title=${`Archive ${app.name}?`} verb="Archive it" isBusy=${archive.isBusy}
          onYes=${() => archive.run()} onClose=${() => setAsking(false)}>
          <p>What runs of it stops now. Its history stays, and you can bring it back under the same id.</p>
          ${archive.problem && html`<${ProblemBox} error=${archive.problem} />`}
        <//>
      `
      }
    </section>
  `;
}
