/** The door: a token of the installation, or the provider, whichever is open here. */
import { Problem } from '../lib/api.js';
import { html, useEffect, useLayoutEffect, useRef, useState } from '../lib/html.js';
import { session } from '../lib/identity.js';
import { signIn, signInAtProvider, signInOptions } from '../lib/session.js';
import { useStore } from '../lib/store.js';
import { useAction, useTitle } from '../lib/use.js';
import { Field, focusFirstWrong } from '../parts/field.js';
import { Logo } from '../parts/icon.js';
import { ProblemBox } from '../parts/problem.js';

/** @import { Options } from '../lib/session.js' */

export function SignIn() {
  useTitle('Sign in');
  return html`<main class="sign-in"><${Door} title="Sign in" /></main>`;
}

/** Over everything, which stays as it is behind it: the session ended while somebody was at work. */
export function SignInAgain() {
  const ref = useRef(/** @type {HTMLDialogElement | null} */ (null));
  const isGone = useRef(false);
  useLayoutEffect(() => {
    ref.current?.showModal();
    return () => {
      isGone.current = true;
      ref.current?.close();
    };
  }, []);
  // What is behind it is not to be seen by whoever comes by.
  return html`
    <dialog ref=${ref} class="sign-in again" closedby="none" aria-label="Sign in again"
      onCancel=${(/** @type {Event} */ event) => event.preventDefault()}
      onClose=${() => !isGone.current && ref.current?.showModal()}>
      <${Door} title="Sign in again" />
      <p class="dim still-there">What you were doing is still there, if you sign in as the same person.</p>
    </dialog>
  `;
}

/** @param {{ title: string }} props */
function Door({ title }) {
  const { reason } = useStore(session);
  const [options, setOptions] = useState(/** @type {Options | undefined} */ (undefined));
  const look = useAction(async () => setOptions(await signInOptions()));
  useEffect(() => void look.run(), []);
  return html`
    <section class="door" aria-labelledby="door-title">
      <p class="brand"><${Logo} />AppHub</p>
      <h1 id="door-title">${title}</h1>
      ${reason !== '' && html`<p class="notice" role="status">${reason}</p>`}
      ${
        options?.oidc &&
        html`<p><button type="button" class="primary large" onClick=${signInAtProvider}>
          Sign in with ${options.oidc.name}</button></p>`
      }
      ${
        options?.oidc && options.token
          ? html`<details><summary>Sign in with a token</summary><${WithToken} /></details>`
          : options?.token && html`<${WithToken} />`
      }
      ${look.problem && html`<${ProblemBox} error=${look.problem} onRetry=${() => look.run()} />`}
    </section>
  `;
}

function WithToken() {
  const [token, setToken] = useState('');
  const form = useRef(/** @type {HTMLFormElement | null} */ (null));
  const check = useAction(async () => {
    try {
      if (token.trim() === '') throw new Error('Paste the token first');
      await signIn(token.trim());
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
  useEffect(() => form.current?.querySelector('input')?.focus(), []);
  const isAboutMore = check.problem instanceof Problem;
  return html`
    <form ref=${form} onSubmit=${submit} novalidate>
      ${isAboutMore && html`<${ProblemBox} error=${check.problem} />`}
      <${Field}
        name="token"
        label="Operator token"
        required
        value=${token}
        onInput=${setToken}
        error=${!isAboutMore && check.problem?.message}
        attributes=${{ type: 'password', autocomplete: 'current-password' }}
      />
      <button class="primary" aria-disabled=${check.isBusy}>${check.isBusy ? 'Checking…' : 'Sign in'}</button>
      <details>
        <summary>Where do I find it?</summary>
        <p>AppHub printed it when it was started for the first time. On its machine it is kept in the data folder:</p>
        <pre><code>cat data/operator-token</code></pre>
        <p>With this one everything can be done here, so treat it like a password. The browser does not keep it:
          it opens a session, which ends when you sign out, here or from elsewhere.</p>
      </details>
    </form>
  `;
}
