/** What each build of an app is given: arguments that everybody may read, and secrets that nobody may. */
import { toast } from '../lib/announce.js';
import { getJson, Problem, write } from '../lib/api.js';
import { html, useRef, useState } from '../lib/html.js';
import { useMay } from '../lib/identity.js';
import { useLive } from '../lib/live.js';
import { useAction } from '../lib/use.js';
import { Confirm, Dialog } from '../parts/dialog.js';
import { Field, focusFirstWrong } from '../parts/field.js';
import { Icon } from '../parts/icon.js';
import { MayButton, Why } from '../parts/may.js';
import { ProblemBox } from '../parts/problem.js';
import { Ago } from '../parts/time.js';
import { argErrors, argsIn, argsText } from './build-input-words.js';

/** @import { App, BuildSecret } from '../lib/shapes.js' */

const pathOf = (/** @type {App} */ app, /** @type {string} */ what) =>
  `/apps/${encodeURIComponent(app.id)}/${what}`;

/** @param {{ app: App }} props */
export function BuildInputPanel({ app }) {
  const maySee = useMay('secrets:read', app.id);
  return html`
    <section class="panel panel-body" aria-labelledby="build-input-title">
      <h2 id="build-input-title">What its builds are given</h2>
      <${Args} app=${app} />
      <h3>Secrets</h3>
      <p class="dim">A step mounts one by <span class="mono">--mount=type=secret,id=name</span>. It is in no image and no
        log, and nobody can read it back.</p>
      ${maySee.why === '' ? html`<${Secrets} app=${app} />` : html`<p class="dim">${maySee.why}.</p>`}
    </section>
  `;
}

/** @param {{ app: App }} props */
function Args({ app }) {
  const path = pathOf(app, 'build-args');
  const live = useLive(path, {
    isAbout: event => event.stream === `apps.build-input-${app.id}`,
    load: async options => /** @type {Record<string, string>} */ ((await getJson(path, options)).data.args),
  });
  const [isOpen, setOpen] = useState(false);
  const may = useMay('apps:write', app.id);
  const entries = Object.entries(live.value ?? {});
  return html`
    <h3>Arguments</h3>
    ${live.error && html`<${ProblemBox} error=${live.error} onRetry=${live.reload} />`}
    ${
      entries.length === 0
        ? html`<p class="dim">None.</p>`
        : html`<ul class="sentences mono">${entries.map(([name, value]) => html`<li key=${name}>${name}=${value}</li>`)}</ul>`
    }
    <p class="actions"><${MayButton} may=${may} class="small" aria-haspopup="dialog" isBusy=${live.value === undefined}
      onClick=${() => setOpen(true)}>Change arguments…<//><${Why} may=${may} /></p>
    ${isOpen && html`<${ArgsDialog} app=${app} args=${live.value ?? {}} onClose=${() => setOpen(false)} />`}
  `;
}

/** @param {{ app: App, args: Record<string, string>, onClose: () => void }} props */
function ArgsDialog({ app, args, onClose }) {
  const [text, setText] = useState(() => argsText(args));
  const [slip, setSlip] = useState('');
  const form = useRef(/** @type {HTMLFormElement | null} */ (null));
  const save = useAction(async () => {
    const read = argsIn(text);
    setSlip(read.wrong);
    try {
      if (read.wrong !== '') return;
      await write('PUT', pathOf(app, 'build-args'), { args: read.args });
      toast('Saved, for builds from now on');
      onClose();
    } finally {
      requestAnimationFrame(() => focusFirstWrong(form.current));
    }
  });
  const refused = save.problem instanceof Problem ? argErrors(save.problem.errors) : [];
  const wrong = slip || refused.join('; ');
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    void save.run();
  };
  return html`
    <${Dialog} title="Arguments of builds" onClose=${onClose}>
      <form ref=${form} onSubmit=${submit} novalidate>
        ${save.problem && refused.length === 0 && html`<${ProblemBox} what="They were not saved" error=${save.problem} />`}
        <${Field} name="args" label="Arguments" multiline isFirst value=${text} onInput=${setText}
          error=${wrong !== '' && `${wrong}.`}
          hint="NAME=value, one a line. They are no secrets: whoever sees the app sees them."
          attributes=${{ class: 'mono', spellcheck: false }} />
        <footer>
          <button type="button" onClick=${onClose}>Leave as it is</button>
          <button type="submit" class="primary" aria-disabled=${save.isBusy}>Save arguments</button>
        </footer>
      </form>
    <//>
  `;
}

/** @param {{ app: App }} props */
function Secrets({ app }) {
  const path = pathOf(app, 'build-secrets');
  const live = useLive(path, {
    // Of another source it is given no secret that was set for the one before.
    isAbout: event =>
      event.stream === `apps.build-input-${app.id}` || event.stream === `apps.repository-${app.id}`,
    load: async options => /** @type {BuildSecret[]} */ ((await getJson(path, options)).data),
  });
  const [chosen, setChosen] = useState(/** @type {string | undefined} */ (undefined));
  const [leaving, setLeaving] = useState('');
  const may = useMay('secrets:write', app.id);
  const remove = useAction(async () => {
    await write('DELETE', `${path}/${encodeURIComponent(leaving)}`);
    toast(`${leaving} is removed`);
    setLeaving('');
  });
  const secrets = live.value ?? [];
  return html`
    ${live.error && html`<${ProblemBox} error=${live.error} onRetry=${live.reload} />`}
    ${live.value !== undefined && secrets.length === 0 && html`<p class="dim">None.</p>`}
    <ul class="secrets" role="list">
      ${secrets.map(
        ({ name, version, setAt, isGiven }) => html`
          <li key=${name}>
            <span class="mono">${name}</span>
            <span class="dim">version ${version}, <${Ago} at=${setAt} />${
              !isGiven && ', for another source: given to no build'
            }</span>
            <span class="actions end">
              <${MayButton} may=${may} class="small" aria-haspopup="dialog" aria-label=${`Replace ${name}`}
                onClick=${() => setChosen(name)}>Replace…<//>
              <${MayButton} may=${may} class="small danger" aria-haspopup="dialog" aria-label=${`Remove ${name}`}
                onClick=${() => setLeaving(name)}>Remove…<//>
            </span>
          </li>
        `,
      )}
    </ul>
    <p class="actions"><${MayButton} may=${may} class="small" aria-haspopup="dialog" onClick=${() => setChosen('')}>
      <${Icon} name="key" />Set a secret…<//><${Why} may=${may} /></p>
    ${chosen !== undefined && html`<${SecretDialog} app=${app} name=${chosen} onClose=${() => setChosen(undefined)} />`}
    ${
      leaving !== '' &&
      html`
      <${Confirm} title=${`Remove ${leaving}?`} verb="Remove it" isBusy=${remove.isBusy}
        onYes=${() => remove.run()} onClose=${() => setLeaving('')}>
        <p>Its value is erased. Builds that need it fail until it is set again.</p>
        ${remove.problem && html`<${ProblemBox} error=${remove.problem} />`}
      <//>
    `
    }
  `;
}

/** @param {{ app: App, name: string, onClose: () => void }} props `name` is '' for a new one */
function SecretDialog({ app, name: known, onClose }) {
  const [name, setName] = useState(known);
  const [value, setValue] = useState('');
  const form = useRef(/** @type {HTMLFormElement | null} */ (null));
  const save = useAction(async () => {
    try {
      // Without a key: the log would note a sum over the value.
      await write(
        'PUT',
        `${pathOf(app, 'build-secrets')}/${encodeURIComponent(name.trim())}`,
        { value },
        null,
      );
      toast(`${name.trim()} is set`);
      onClose();
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
    <${Dialog} title=${known === '' ? 'Set a build secret' : `Replace ${known}`} onClose=${onClose}>
      <form ref=${form} onSubmit=${submit} novalidate>
        ${save.problem && errors.size === 0 && html`<${ProblemBox} what="It was not set" error=${save.problem} />`}
        ${
          known === '' &&
          html`<${Field} name="name" label="Name" required isFirst value=${name} onInput=${setName}
            error=${errors.get('name')} hint="Letters, digits, and _ . - such as npmrc; the id that a step mounts it by."
            attributes=${{ class: 'mono', spellcheck: false }} />`
        }
        <${Field} name="value" label="Value" required multiline isFirst=${known !== ''} value=${value} onInput=${setValue}
          error=${errors.get('value')} hint="Shown to nobody once it is set, not even to you."
          attributes=${{ class: 'mono', spellcheck: false, autocomplete: 'off' }} />
        <footer>
          <button type="button" onClick=${onClose}>Leave it</button>
          <button type="submit" class="primary" aria-disabled=${save.isBusy}>Set secret</button>
        </footer>
      </form>
    <//>
  `;
}
