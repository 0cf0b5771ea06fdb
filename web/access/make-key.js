/** The dialog that makes an API key: what it is called, what it may do, where, and how long. */
import { Problem, write } from '../lib/api.js';
import { html, useRef, useState } from '../lib/html.js';
import { useWho } from '../lib/identity.js';
import { scopeMeanings, scopesByContext } from '../lib/scopes.js';
import { useAction } from '../lib/use.js';
import { Dialog } from '../parts/dialog.js';
import { Choice, Field, focusFirstWrong } from '../parts/field.js';
import { Icon } from '../parts/icon.js';
import { ProblemBox } from '../parts/problem.js';

const ends = [
  [86_400, '1 day'],
  [604_800, '7 days'],
  [2_592_000, '30 days'],
  [7_776_000, '90 days'],
  [31_536_000, '1 year'],
  ['', 'It does not end by itself'],
];

/** @param {{ onClose: () => void, onMade: (made: { name: string, key: string }) => void }} props */
export function MakeKey({ onClose, onMade }) {
  const who = useWho();
  const [name, setName] = useState('');
  const [scopes, setScopes] = useState(/** @type {string[]} */ ([]));
  const [apps, setApps] = useState(who.apps?.join(', ') ?? '');
  const [end, setEnd] = useState('7776000');
  const form = useRef(/** @type {HTMLFormElement | null} */ (null));
  const make = useAction(async () => {
    try {
      const missing = missingOf({ name, scopes });
      if (missing !== undefined) throw missing;
      const only = apps.split(/[\s,]+/).filter(Boolean);
      const { key } = await write(
        'POST',
        '/auth/api-keys',
        {
          name: name.trim(),
          scopes,
          apps: only.length > 0 ? only : null,
          expiresInSeconds: end === '' ? null : Number(end),
        },
        null,
      );
      onClose();
      onMade({ name: name.trim(), key });
    } catch (error) {
      requestAnimationFrame(() => focusFirstWrong(form.current));
      throw error;
    }
  });
  const wrong = wrongIn(make.problem);
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    void make.run();
  };
  return html`
    <${Dialog} title="Make an API key" onClose=${onClose} wide>
      <form ref=${form} onSubmit=${submit} novalidate>
        ${make.problem && wrong.size === 0 && html`<${ProblemBox} what="No key was made" error=${make.problem} />`}
        <${Field} name="name" label="Name" required isFirst value=${name} onInput=${setName} error=${wrong.get('name')}
          hint="What uses it, such as nightly builds" />
        <${ScopeBoxes} held=${who.scopes} chosen=${scopes} onChoose=${setScopes} error=${wrong.get('scopes')} />
        <div class="pair">
          <${Field} name="apps" label="Only these apps" value=${apps} onInput=${setApps} error=${wrong.get('apps')}
            hint="Ids, or beginnings like team-*. Empty: all that you may reach." />
          <${Choice} label="Good for" value=${end} options=${ends} onChoose=${setEnd} />
        </div>
        <footer>
          <button type="button" onClick=${onClose}>Cancel</button>
          <button class="primary" aria-disabled=${make.isBusy}>${make.isBusy ? 'Making…' : 'Make the key'}</button>
        </footer>
      </form>
    <//>
  `;
}

/** @param {{ held: string[], chosen: string[], onChoose: (chosen: string[]) => void, error: string | undefined }} props */
function ScopeBoxes({ held, chosen, onChoose, error }) {
  const toggle = (/** @type {string} */ scope) =>
    onChoose(chosen.includes(scope) ? chosen.filter(one => one !== scope) : [...chosen, scope]);
  return html`
    <fieldset class="scopes" aria-describedby=${error ? 'scopes-error' : 'scopes-hint'}>
      <legend>What it may do</legend>
      <p class="hint" id="scopes-hint">You can give on what you may do yourself. Choose as little as it needs.</p>
      ${error && html`<p class="error" id="scopes-error"><${Icon} name="warn" /><span>${error}</span></p>`}
      <div class="scope-groups">
        ${scopesByContext(held).map(
          ([context, scopes], group) => html`
            <fieldset key=${context}>
              <legend>${context}</legend>
              ${scopes.map(
                (scope, at) => html`
                <label class="check" key=${scope}>
                  <input type="checkbox" name=${scope} checked=${chosen.includes(scope)}
                    aria-invalid=${error && group + at === 0 ? 'true' : undefined} onChange=${() => toggle(scope)} />
                  <span>${scope}<span class="hint">${scopeMeanings[scope]}</span></span>
                </label>
              `,
              )}
            </fieldset>
          `,
        )}
      </div>
    </fieldset>
  `;
}

/** What is not filled in. @param {{ name: string, scopes: string[] }} form */
function missingOf({ name, scopes }) {
  const errors = [];
  if (name.trim() === '') errors.push({ field: 'name', message: 'Say what uses it.' });
  if (scopes.length === 0) errors.push({ field: 'scopes', message: 'Choose at least one.' });
  return errors.length > 0 ? new Problem(400, { title: 'Something is missing', errors }) : undefined;
}

/** What is wrong, by field. @param {Error | undefined} problem @returns {Map<string, string>} */
function wrongIn(problem) {
  if (!(problem instanceof Problem)) return new Map();
  return new Map(
    problem.errors.map(({ field, message }) => {
      const [name = ''] = field.split(/[./]/);
      const isPattern = name === 'apps' && message.startsWith('must match');
      return [name, isPattern ? 'Write ids like shop, or beginnings like team-*.' : message];
    }),
  );
}
