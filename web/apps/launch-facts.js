/** How a launch runs: what was said when it was launched. */
import { spanOf } from '../lib/format.js';
import { html } from '../lib/html.js';
import { appUrl } from '../lib/router.js';
import { Until } from '../parts/time.js';
import { sandboxSentences } from './sandbox-words.js';

/** @import { Launch } from '../lib/shapes.js' */

/** @param {{ launch: Launch }} props */
export function LaunchFacts({ launch }) {
  const { access, env, healthPath, idleSeconds, image, owner, port, resourceProfile, restart } = launch;
  return html`
    <details class="launch-facts">
      <summary>How it runs</summary>
      <dl class="pairs">
        <dt>Visitors</dt><dd>${
          access === 'public'
            ? 'Everybody who has its address'
            : 'Those who may see the app here, and those who were given a link'
        }</dd>
        <dt>Image</dt><dd class="mono"><a href=${appUrl(launch.appId, `builds/${launch.buildId}`)}>${image}</a></dd>
        <dt>Size</dt><dd>${resourceProfile}</dd>
        <dt>Port</dt><dd>${port ?? 'Not known yet'}</dd>
        <dt>Well when</dt><dd>${
          healthPath === null
            ? 'its HEALTHCHECK says so, else as soon as it answers'
            : html`<span class="mono">${healthPath}</span> answers 2xx or 3xx`
        }</dd>
        <dt>Sleeps</dt><dd>${idleSeconds === null ? 'never' : `after ${spanOf(idleSeconds)} without a visit`}</dd>
        <dt>When it fails</dt><dd>${restart === 'no' ? 'it ends' : 'it is started again, later each time'}</dd>
        <dt>Stops</dt><dd><${Until} at=${launch.expiresAt} /></dd>
        <dt>Asked for by</dt><dd>${owner}</dd>
        <dt>Confined</dt><dd>${sandboxSentences(launch.sandbox).join(' ')}</dd>
        <dt>Variables</dt><dd class="mono">${
          env.length === 0
            ? html`<span class="dim">none</span>`
            : env.map(({ key, value }) => html`<div key=${key}>${key}=${value}</div>`)
        }</dd>
        <dt>Id</dt><dd class="mono">${launch.id}</dd>
      </dl>
    </details>
  `;
}
