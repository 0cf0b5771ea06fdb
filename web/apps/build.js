/** The builds of an app: how each stands, what it printed, where it failed. */
import { toast } from '../lib/announce.js';
import { write } from '../lib/api.js';
import { bytesOf, durationOf, ordinalOf, shortCommit } from '../lib/format.js';
import { html } from '../lib/html.js';
import { useMay } from '../lib/identity.js';
import { appUrl, go } from '../lib/router.js';
import { useAction } from '../lib/use.js';
import { Icon } from '../parts/icon.js';
import { LogView } from '../parts/log.js';
import { MayButton, Why } from '../parts/may.js';
import { ProblemBox } from '../parts/problem.js';
import { Status } from '../parts/status.js';
import { Ago, Elapsed } from '../parts/time.js';
import { useBuilds } from './list.js';
import { ProvenancePanel } from './provenance.js';

/** @import { App, Build } from '../lib/shapes.js' */

export const isOpen = (/** @type {Build} */ { status }) => status === 'queued' || status === 'running';
const signOf = (/** @type {Build} */ { status }) => (status === 'running' ? 'building' : status);
/** @type {Readonly<Record<string, string>>} */
const causes = { ingested: 'new commit', manual: 'by hand', retry: 'again' };

/** @param {{ app: App, itemId: string }} props */
export function BuildSection({ app, itemId }) {
  const { items, error, more, reload } = useBuilds(app.id);
  if (items === undefined) {
    return error === undefined
      ? html`<p class="waiting" role="status"><span class="spinner"></span>Reading builds…</p>`
      : html`<${ProblemBox} error=${error} onRetry=${reload} />`;
  }
  const shown = items.find(({ id }) => id === itemId) ?? items[0];
  return html`
    <section class="panel-stack" aria-label="Builds">
      <${NewBuild} app=${app} />
      ${shown === undefined ? html`<${NoBuild} />` : html`<${BuildPanel} key=${shown.id} build=${shown} />`}
      <ol class="rows" role="list">
        ${items.map(
          build => html`
            <li key=${build.id}>
              <a href=${appUrl(app.id, `builds/${build.id}`)} aria-current=${build === shown ? 'true' : undefined}>
                <${Status} status=${signOf(build)} />
                <span><span class="mono">${shortCommit(build.commit)}</span> <span class="dim">
                  ${causes[build.cause] ?? build.cause}</span></span>
                <span class="dim"><${Ago} at=${build.requestedAt} /></span>
                <span class="dim end">
                  ${
                    build.queuePosition !== null
                      ? ordinalOf(build.queuePosition)
                      : build.durationMs !== null
                        ? durationOf(build.durationMs)
                        : build.status === 'running' &&
                          build.startedAt &&
                          html`
                  <${Elapsed} since=${build.startedAt} />`
                  }</span>
              </a>
            </li>
          `,
        )}
      </ol>
      ${more && html`<p class="more"><button type="button" onClick=${more}>Show older ones</button></p>`}
    </section>
  `;
}

/** @param {{ app: App }} props */
function NewBuild({ app }) {
  const build = useAction(async () => {
    const { id } = await write('POST', `/apps/${encodeURIComponent(app.id)}/builds`, {});
    toast('Build requested');
    go(appUrl(app.id, `builds/${id}`));
  });
  const may = useMay('apps:write', app.id);
  if (app.status === 'archived' || app.commit === null) return null;
  return html`
    <div class="actions">
      <${MayButton} may=${may} isBusy=${build.isBusy} onClick=${() => build.run()}>
        <${Icon} name="box" />Build ${shortCommit(app.commit)} now
      <//>
      <${Why} may=${may} />
    </div>
    ${build.problem && html`<${ProblemBox} what="No build was requested" error=${build.problem} />`}
  `;
}

function NoBuild() {
  return html`
    <div class="empty small">
      <h2>No build yet</h2>
      <p>The first one is requested by itself as soon as the source has been read and a Dockerfile was found in it.</p>
    </div>
  `;
}

/** One build with its log, live. @param {{ build: Build, isBrief?: boolean }} props */
export function BuildPanel({ build, isBrief = false }) {
  const { status, failure, supersededBy } = build;
  return html`
    <section class="panel" aria-label=${`Build of ${shortCommit(build.commit)}`}>
      <header class="panel-head">
        <${Status} status=${signOf(build)} />
        <span class="mono" title=${build.commit}>${shortCommit(build.commit)}</span>
        ${status === 'running' && build.startedAt && html`<${Elapsed} since=${build.startedAt} />`}
        ${build.durationMs !== null && html`<span class="dim">in ${durationOf(build.durationMs)}</span>`}
        ${build.bytes !== null && html`<span class="dim">${bytesOf(build.bytes)}</span>`}
        ${build.attempt > 1 && html`<span class="dim">attempt ${build.attempt}</span>`}
        <div class="actions end">
          ${isBrief && html`<a class="button small" href=${appUrl(build.appId, `builds/${build.id}`)}>All builds</a>`}
          <${BuildActions} build=${build} />
        </div>
      </header>
      <${Waiting} build=${build} />
      ${
        supersededBy &&
        html`<p class="panel-body">A newer commit came while it waited:
        <a class="mono" href=${appUrl(build.appId, `builds/${supersededBy.buildId}`)}>${shortCommit(supersededBy.commit)}</a>
        is built instead.</p>`
      }
      ${failure && html`<${Failure} failure=${failure} />`}
      ${
        build.image &&
        !isBrief &&
        html`<p class="panel-body mono image">${build.image} <span class="dim">
        ${build.imageId}</span></p>`
      }
      ${!isBrief && html`<${ProvenancePanel} build=${build} />`}
      ${
        status === 'queued'
          ? html`<p class="panel-body dim">Its log begins when a worker takes it up.</p>`
          : status === 'superseded'
            ? null
            : html`<${LogView} path=${`/builds/${build.id}/logs`} label="Log of the build"
            name=${`build-${build.id}`} failedStep=${failure?.step ?? null} />`
      }
    </section>
  `;
}

/** Its place among those that wait, and why it is not begun. @param {{ build: Build }} props */
function Waiting({ build: { queuePosition, waitingFor } }) {
  if (queuePosition === null) return null;
  return html`
    <p class="panel-body waiting-for">
      <${Icon} name="clock" /><span><strong>${ordinalOf(queuePosition)} in the queue.</strong> ${waitingFor}</span>
    </p>
  `;
}

/** @param {{ failure: NonNullable<Build['failure']> }} props */
function Failure({ failure }) {
  return html`
    <div class="panel-body failure">
      ${
        failure.step !== null &&
        html`<p><strong>Step ${failure.step} failed</strong>
        ${failure.instruction && html`: <code>${failure.instruction}</code>`}</p>`
      }
      <p>${failure.reason}</p>
    </div>
  `;
}

/** @param {{ build: Build }} props */
function BuildActions({ build }) {
  const cancel = useAction(async () => {
    await write('POST', `/builds/${build.id}/cancel`);
    toast('Build cancelled');
  });
  const retry = useAction(async () => {
    const { id } = await write('POST', `/builds/${build.id}/retry`);
    toast('Build requested again');
    go(appUrl(build.appId, `builds/${id}`));
  });
  const problem = cancel.problem ?? retry.problem;
  const may = useMay('apps:write', build.appId);
  return html`
    ${
      isOpen(build)
        ? html`<${MayButton} may=${may} class="small danger" isBusy=${cancel.isBusy}
          onClick=${() => cancel.run()}><${Icon} name="close" />Cancel<//>`
        : html`<${MayButton} may=${may} class="small" isBusy=${retry.isBusy} onClick=${() => retry.run()}>
          <${Icon} name="retry" />Build again<//>`
    }
    <${Why} may=${may} />
    ${problem && html`<${ProblemBox} error=${problem} />`}
  `;
}
