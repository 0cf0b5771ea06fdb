/** Host names of somebody's own that lead to an app. */
import { toast } from '../lib/announce.js';
import { getJson, Problem, write } from '../lib/api.js';
import { html, useRef, useState } from '../lib/html.js';
import { useMay } from '../lib/identity.js';
import { useLive } from '../lib/live.js';
import { useAction } from '../lib/use.js';
import { Field, focusFirstWrong } from '../parts/field.js';
import { Icon } from '../parts/icon.js';
import { MayButton, Why } from '../parts/may.js';
import { ProblemBox } from '../parts/problem.js';

/** @import { App, HostName } from '../lib/shapes.js' */

/** @param {{ app: App }} props */
export function HostPanel({ app }) {
  const path = `/apps/${encodeURIComponent(app.id)}/hosts`;
  const live = useLive(path, {
    isAbout: event => event.stream.startsWith('apps.host-name-'),
    load: async options => /** @type {HostName[]} */ ((await getJson(path, options)).data),
  });
  const may = useMay('apps:write', app.id);
  const release = useAction(async (/** @type {string} */ host) => {
    await write('DELETE', `${path}/${encodeURIComponent(host)}`);
    toast(`${host} leads here no more`);
  });
  const hosts = live.value ?? [];
  return html`
    <section class="panel panel-body" aria-labelledby="hosts-title">
      <h2 id="hosts-title">Host names</h2>
      <p class="dim">A name of your own shows the newest launch that runs. Its DNS has to point here.</p>
      ${live.error && html`<${ProblemBox} error=${live.error} onRetry=${live.reload} />`}
      ${release.problem && html`<${ProblemBox} what="It was not released" error=${release.problem} />`}
      ${
        hosts.length > 0 &&
        html`<ul class="sentences">${hosts.map(
          ({ host, url }) => html`<li key=${host}>
            <a class="mono" href=${url} target="_blank" rel="noreferrer">${host}</a>
            <${MayButton} may=${may} class="bare" isBusy=${release.isBusy} aria-label=${`Release ${host}`}
              onClick=${() => release.run(host)}><${Icon} name="close" /><//>
          </li>`,
        )}</ul>`
      }
      <${Claim} path=${path} may=${may} />
    </section>
  `;
}

/** @param {{ path: string, may: import('../lib/identity.js').May }} props */
function Claim({ path, may }) {
  const [host, setHost] = useState('');
  const form = useRef(/** @type {HTMLFormElement | null} */ (null));
  const claim = useAction(async () => {
    try {
      if (host.trim() === '') throw new Error('Write a name such as shop.example.org');
      const { id } = await write('PUT', `${path}/${encodeURIComponent(host.trim())}`, {});
      setHost('');
      toast(`${id} leads here`);
    } catch (error) {
      requestAnimationFrame(() => focusFirstWrong(form.current));
      throw error;
    }
  });
  const { problem } = claim;
  const wrong =
    problem instanceof Problem
      ? problem.errors.find(({ field }) => field === 'host')?.message
      : problem?.message;
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    void claim.run();
  };
  return html`
    <form ref=${form} onSubmit=${submit} novalidate>
      ${problem && wrong === undefined && html`<${ProblemBox} what="It was not claimed" error=${problem} />`}
      <${Field} name="host" label="Another host name" required value=${host} onInput=${setHost} error=${wrong}
        attributes=${{ class: 'mono', placeholder: 'shop.example.org' }} />
      <p class="actions"><${MayButton} may=${may} type="submit" class="small" isBusy=${claim.isBusy}>
        <${Icon} name="plus" />Claim<//><${Why} may=${may} /></p>
    </form>
  `;
}
