/** What is seen of a launch: the app in its frame while it serves, else what it does and why. */
import { html, useLayoutEffect, useState } from '../lib/html.js';
import { Icon } from '../parts/icon.js';
import { Elapsed, Soon } from '../parts/time.js';
import { Frame } from './launch-frame.js';
import { comingOf, failureWords, isAlive, isServing, stateWords } from './launch-words.js';

/** @import { App, Deployment, Launch, LaunchFailure } from '../lib/shapes.js' */

/** @param {{ app: App, launch: Launch, deployments: readonly Deployment[] }} props */
export function Stage({ app, launch, deployments }) {
  if (isServing(launch)) return html`<${Served} app=${app} launch=${launch} />`;
  return html`<${NotServed} launch=${launch} deployments=${deployments} />`;
}

/**
 * The app, loaded anew when another container serves, unless somebody is in the middle of using it: then it says so.
 * @param {{ app: App, launch: Launch }} props
 */
function Served({ app, launch }) {
  const { serving } = launch;
  const [shown, setShown] = useState({ serving, times: 0 });
  const load = () => setShown(({ times }) => ({ serving, times: times + 1 }));
  const isOld = shown.serving !== serving;
  useLayoutEffect(() => {
    if (isOld && !(document.activeElement instanceof HTMLIFrameElement)) load();
  }, [serving]);
  return html`
    ${
      isOld &&
      html`<p class="strip" role="status"><span>Another container serves now; what you see here is of the one
        before.</span> <button type="button" class="small" onClick=${load}><${Icon} name="retry" />Load it
        anew</button></p>`
    }
    <${Frame} key=${`${shown.serving}.${shown.times}`} app=${app} launch=${launch} />
  `;
}

/** @param {{ launch: Launch, deployments: readonly Deployment[] }} props */
function NotServed({ launch, deployments }) {
  const { status, failure, waitingFor } = launch;
  const since = comingOf(deployments)?.requestedAt ?? launch.requestedAt;
  const isBusy = ['requested', 'starting', 'waking', 'stopping'].includes(status);
  const hasFailed = status === 'failed' || status === 'restarting' || hasNotWoken(launch, deployments);
  const notBefore = comingOf(deployments)?.notBefore;
  return html`
    <div class=${`panel-body launch-state ${hasFailed ? '' : 'center'}`}>
      <p class="launch-words">${stateWords(launch, deployments)}
        ${isBusy && html` <span class="dim"><${Elapsed} since=${since} /></span>`}
        ${status === 'restarting' && notBefore != null && html` <${Soon} at=${notBefore} what="The next try is" />`}
      </p>
      ${waitingFor && isAlive(launch) && html`<p class="waiting-for"><${Icon} name="warn" />${waitingFor}</p>`}
      ${hasFailed && failure !== null && html`<${Failure} failure=${failure} />`}
    </div>
  `;
}

/** @param {Launch} launch @param {readonly Deployment[]} deployments */
const hasNotWoken = ({ status }, [newest]) =>
  status === 'asleep' && newest?.failure != null && newest.runningAt === null;

/** How a container ended, with the last it said. @param {{ failure: LaunchFailure }} props */
export function Failure({ failure }) {
  return html`
    <div class="failure-box">
      <p class="failure"><strong>${failureWords(failure)}</strong></p>
      ${failure.oomKilled && html`<p class="dim">Launch it with a larger size, or let it use less.</p>`}
      ${
        failure.lastLines.length > 0
          ? html`<pre class="log" tabindex="0" role="region"
            aria-label="Last lines of the app">${failure.lastLines.join('\n')}</pre>`
          : html`<p class="dim">It printed nothing.</p>`
      }
    </div>
  `;
}
