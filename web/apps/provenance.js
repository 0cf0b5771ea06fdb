/** What an image was made of, and how. */
import { getJson } from '../lib/api.js';
import { html, useState } from '../lib/html.js';
import { useLive } from '../lib/live.js';
import { ProblemBox } from '../parts/problem.js';

/** @import { Build, Provenance } from '../lib/shapes.js' */

/** Closed at first: it is for those who ask. @param {{ build: Build }} props */
export function ProvenancePanel({ build }) {
  const [isOpen, setOpen] = useState(false);
  if (build.builder === null) return null;
  const path = `/builds/${build.id}/provenance`;
  return html`
    <details class="panel-body provenance"
      onToggle=${(/** @type {Event} */ event) => setOpen(/** @type {HTMLDetailsElement} */ (event.currentTarget).open)}>
      <summary>What it was made of</summary>
      ${isOpen && html`<${Facts} path=${path} />`}
      <p><a href=${path} download=${`provenance-${build.id}.json`}>Download as an in-toto statement</a></p>
    </details>
  `;
}

/** @param {{ path: string }} props */
function Facts({ path }) {
  // It never changes.
  const live = useLive(path, {
    isAbout: () => false,
    load: options => /** @type {Promise<Provenance>} */ (getJson(path, options)),
  });
  if (live.error) return html`<${ProblemBox} error=${live.error} onRetry=${live.reload} />`;
  if (live.value === undefined)
    return html`<p class="waiting" role="status"><span class="spinner"></span>Reading…</p>`;
  const { buildDefinition, runDetails } = live.value.predicate;
  const { externalParameters, internalParameters, resolvedDependencies } = buildDefinition;
  const args = Object.entries(externalParameters.buildArgs).map(([name, value]) => `${name}=${value}`);
  const secrets = internalParameters.secrets.map(({ name, version }) => `${name}, version ${version}`);
  const digestOf = (/** @type {Record<string, string> | undefined} */ digest) =>
    Object.values(digest ?? {})[0];
  return html`
    <dl class="pairs">
      <dt>Repository</dt><dd class="mono">${externalParameters.repository}</dd>
      <dt>Commit</dt><dd class="mono">${externalParameters.commit}</dd>
      ${resolvedDependencies.slice(1).map(
        ({ name, uri, digest, annotations }) => html`
          <dt key=${name ?? uri}>${name === undefined ? 'Base image' : 'Dockerfile'}</dt>
          <dd class="mono">${name ?? uri?.replace(/^docker-image:/, '')}
            <span class="dim"> ${digestOf(digest) ?? annotations?.imageId ?? 'not on its engine any more'}</span></dd>
        `,
      )}
      <dt>Builder</dt><dd>${runDetails.builder.id.split('-').pop()} of Docker ${runDetails.builder.version.docker},
        for ${internalParameters.platform}</dd>
      ${args.length > 0 && html`<dt>Arguments</dt><dd class="mono">${args.join('\n')}</dd>`}
      ${secrets.length > 0 && html`<dt>Secrets</dt><dd>${secrets.join('; ')}</dd>`}
      ${live.value.subject.map(
        ({ name, digest }) =>
          html`<dt key=${name}>Image</dt><dd class="mono">${name}<span class="dim"> ${digestOf(digest)}</span></dd>`,
      )}
    </dl>
  `;
}
