/** Above a launch that serves: what comes, what did not come up, and what could. */
import { shortCommit } from '../lib/format.js';
import { html } from '../lib/html.js';
import { Icon } from '../parts/icon.js';
import { MayButton } from '../parts/may.js';
import { Ago, Elapsed } from '../parts/time.js';
import { Failure } from './launch-stage.js';
import {
  buildWords,
  comingOf,
  comingWords,
  failedOf,
  isChangeable,
  isServing,
  newerOf,
} from './launch-words.js';

/** @import { App, Deployment, Launch } from '../lib/shapes.js' */
/** @import { LaunchActions } from './launch-actions.js' */

/** @param {{ app: App, launch: Launch, deployments: readonly Deployment[], actions: LaunchActions }} props */
export function LaunchNotices({ app, launch, deployments, actions }) {
  const coming = isServing(launch) ? comingOf(deployments) : undefined;
  const failed = coming === undefined ? failedOf(launch, deployments) : undefined;
  const isNewest = failed?.buildId === app.release?.buildId;
  const newer = isChangeable(launch) && !isNewest ? newerOf(app, launch, deployments) : undefined;
  const recovered = recoveredOf(launch, deployments);
  return html`
    ${
      coming &&
      html`
      <p class="strip busy"><span class="spinner" aria-hidden="true"></span><span>${comingWords(launch, coming)}
        ${' '}<span class="dim"><${Elapsed} since=${coming.requestedAt} /></span></span></p>
    `
    }
    ${failed && html`<${NotUp} launch=${launch} failed=${failed} actions=${actions} />`}
    ${
      recovered &&
      html`
      <details class="strip-details">
        <summary><${Icon} name="warn" />It ended by itself <${Ago} at=${recovered.at} />, and was started again</summary>
        <${Failure} failure=${recovered} />
      </details>
    `
    }
    ${
      newer &&
      html`
      <p class="strip offer"><${Icon} name="box" /><span>A newer build of ${app.name} is there:
        ${' '}<span class="mono">${shortCommit(newer.commit)}</span>. This launch
        ${launch.status === 'asleep' ? ' slept in with' : ' runs'}
        ${' '}<span class="mono">${presentCommit(launch, deployments)}</span>.</span>
        <${MayButton} may=${actions.may} class="small primary" isBusy=${actions.isBusy}
          onClick=${() => actions.redeploy(newer.buildId)}>Redeploy with ${shortCommit(newer.commit)}<//></p>
    `
    }
  `;
}

/** @param {Launch} launch @param {readonly Deployment[]} deployments */
function presentCommit({ buildId }, deployments) {
  const present = deployments.find(one => one.buildId === buildId);
  return buildWords(present ?? { commit: null, buildId });
}

/** @param {{ launch: Launch, failed: Deployment, actions: LaunchActions }} props */
function NotUp({ launch, failed, actions }) {
  return html`
    <div class="strip-details bad">
      <p><${Icon} name="warn" /><span>Deployment ${failed.deployment} with
        ${' '}<span class="mono">${buildWords(failed)}</span> did not come up. Deployment ${launch.serving} goes on
        serving.</span></p>
      ${failed.failure !== null && html`<${Failure} failure=${failed.failure} />`}
      ${
        failed.imageRemoved === null &&
        html`<p><${MayButton} may=${actions.may} class="small" isBusy=${actions.isBusy}
          onClick=${() => actions.redeploy(failed.buildId)}><${Icon} name="retry" />Try ${buildWords(failed)} again<//></p>`
      }
    </div>
  `;
}

/**
 * The failure after which what serves now was started again.
 * @param {Launch} launch @param {readonly Deployment[]} deployments
 */
function recoveredOf(launch, deployments) {
  const { serving, failure } = launch;
  const present = deployments.find(({ deployment }) => deployment === serving);
  const isAgain = present?.cause === 'restart' && present.runningAt !== null && failure !== null;
  return isAgain && isChangeable(launch) && failure.at <= (present.runningAt ?? '') ? failure : undefined;
}
