/** Asks for the operator's token, says where it is found, and checks it before it is used. */
import { identityOf, Problem } from '../lib/api.js';
import { html, useRef, useState } from '../lib/html.js';
import { signedOutBecause, signIn } from '../lib/session.js';
import { useStore } from '../lib/store.js';
import { useAction, useTitle } from '../lib/use.js';
import { Field, focusFirstWrong } from '../parts/field.js';
import { Logo } from '../parts/icon.js';
import { sentenceOf } from '../parts/problem.js';

export function SignIn() {
  useTitle('Sign in');
  const reason = useStore(signedOutBecause);
  const [token, setToken] = useState('');
  const [isKept, setKept] = useState(true);
  const form = useRef(/** @type {HTMLFormElement | null} */ (null));
  const check = useAction(async () => {
    if (token.trim() === '') throw new Error('Paste the token first');
    try {
      await identityOf(token.trim());
      signIn(token.trim(), isKept);
    } catch (error) {
      requestAnimationFrame(() => focusFirstWrong(form.current));
      const isWrong = error instanceof Problem && error.status === 401;
      throw isWrong ? new Error('Nobody has this token. Is it whole?') : error;
    }
  });
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    void check.run();
  };
  return html`
    <main class="sign-in">
      <form ref=${form} onSubmit=${submit} novalidate>
        <p class="brand"><${Logo} />AppHub</p>
        <h1>Sign in</h1>
        ${reason !== '' && html`<p class="notice" role="status">${reason}</p>`}
        <${Field}
          name="token"
          label="Operator token"
          required
          value=${token}
          onInput=${setToken}
          error=${check.problem && sentenceOf(check.problem)}
          attributes=${{ type: 'password', autocomplete: 'current-password', autofocus: true }}
        />
        <label class="check">
          <input type="checkbox" checked=${isKept}
            onChange=${() => setKept(!isKept)} /> Keep me signed in on this browser
        </label>
        <button class="primary" aria-disabled=${check.isBusy}>${check.isBusy ? 'Checking…' : 'Sign in'}</button>
        <details>
          <summary>Where do I find it?</summary>
          <p>AppHub printed it when it was started for the first time. On its machine it is kept in the data folder:</p>
          <pre><code>cat data/operator-token</code></pre>
          <p>Whoever has it can do everything here, so treat it like a password.</p>
        </details>
      </form>
    </main>
  `;
}
