/** How a Git host tells AppHub of a push. */
import { say } from '../lib/announce.js';
import { getJson } from '../lib/api.js';
import { html, useState } from '../lib/html.js';
import { useMay } from '../lib/identity.js';
import { useAction } from '../lib/use.js';
import { MayButton, Why } from '../parts/may.js';
import { ProblemBox } from '../parts/problem.js';

/** @import { App } from '../lib/shapes.js' */
/** @typedef {{ path: string, contentType: string, secret: string }} Hook */

/** @param {{ app: App }} props */
export function Webhook({ app }) {
  const [hook, setHook] = useState(/** @type {Hook | undefined} */ (undefined));
  const show = useAction(async () => {
    const { data } = await getJson(`/webhooks/git/${encodeURIComponent(app.id)}`);
    setHook(data);
  });
  const may = useMay('apps:write', app.id);
  return html`
    <section class="panel panel-body">
      <h2>Webhook</h2>
      <p class="dim">New commits are looked for every few minutes. With a webhook your Git host says so at once.</p>
      ${
        hook === undefined
          ? html`<p class="actions"><${MayButton} may=${may} class="small" isBusy=${show.isBusy}
            onClick=${() => show.run()}>Show what to enter there<//><${Why} may=${may} /></p>`
          : html`
          <dl class="pairs">
            <${Entry} name="Address" value=${location.origin + hook.path} />
            <${Entry} name="Content type" value=${hook.contentType} />
            <${Entry} name="Secret" value=${hook.secret} />
            <dt>Events</dt><dd>push</dd>
          </dl>
        `
      }
      ${show.problem && html`<${ProblemBox} error=${show.problem} />`}
    </section>
  `;
}

/** @param {{ name: string, value: string }} props */
function Entry({ name, value }) {
  const copy = async () => {
    await navigator.clipboard.writeText(value);
    say(`${name} is copied`);
  };
  // Only pages that came over HTTPS or from this machine may use the clipboard.
  const canCopy = navigator.clipboard !== undefined;
  return html`
    <dt>${name}</dt>
    <dd class="mono">${value} ${
      canCopy &&
      html`<button type="button" class="link" aria-label=${`Copy ${name}`}
      onClick=${() => void copy()}>Copy</button>`
    }</dd>
  `;
}
