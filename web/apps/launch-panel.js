/** One launch from its request to its end: how it stands, what can be asked of it, and the app itself. */
import { durationOf } from '../lib/format.js';
import { html, useRef, useState } from '../lib/html.js';
import { appUrl } from '../lib/router.js';
import { useKeptFocus, useSpoken } from '../lib/use.js';
import { Icon } from '../parts/icon.js';
import { LogView } from '../parts/log.js';
import { ProblemBox } from '../parts/problem.js';
import { Status, statusWord } from '../parts/status.js';
import { Remaining } from '../parts/time.js';
import { Deployments } from './deployments.js';
import { LaunchControls, notDone, useLaunchActions } from './launch-actions.js';
import { LaunchAgain } from './launch-buttons.js';
import { LaunchFacts } from './launch-facts.js';
import { LaunchNotices } from './launch-notices.js';
import { ShareButton } from './launch-share.js';
import { Stage } from './launch-stage.js';
import {
  comingOf,
  comingWords,
  failedOf,
  isAlive,
  isChangeable,
  isServing,
  stateWords,
} from './launch-words.js';
import { useDeployments } from './list.js';
import { Usage, UsageDetails, useUsage } from './usage.js';

/** @import { App, Deployment, Launch } from '../lib/shapes.js' */

/** Whose log is shown: null stands for the container that serves. @typedef {{ deployment: number | null }} Shown */

/**
 * @param {{ app: App, launch: Launch, isFull?: boolean }} props `isFull`: with its containers and how it runs
 */
export function LaunchPanel({ app, launch, isFull = false }) {
  const deployments = useDeployments(launch.id).value ?? [];
  const [log, setLog] = useState(/** @type {Shown | undefined} */ (undefined));
  const [isAgain, setAgain] = useState(false);
  const actions = useLaunchActions(app, launch);
  const usage = useUsage(launch);
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  useKeptFocus(box, '.panel-head button, .panel-head a, .launch-title');
  useSpoken(spokenOf(app, launch, deployments));
  const isOpen = log !== undefined;
  const of = { app, launch, deployments, actions };
  return html`
    <section ref=${box} class="panel launch" aria-label=${`Launch of ${app.name}`}>
      <header class="panel-head">
        <span class="launch-title" tabindex="-1"><${Status} status=${launch.status} /></span>
        ${isChangeable(launch) && html`<span class="dim"><${Remaining} until=${launch.expiresAt} /></span>`}
        ${
          launch.status === 'running' &&
          launch.startedInMs !== null &&
          html`<span class="dim">up in ${durationOf(launch.startedInMs)}</span>`
        }
        <span class="dim visitors"><${Icon} name=${launch.access === 'public' ? 'eye' : 'lock'} />
          ${accessWords[launch.access]}</span>
        <${Usage} launch=${launch} usage=${usage} />
        <div class="actions end">
          ${
            isServing(launch) &&
            html`<a class="button small" href=${`/launches/${launch.id}/open`} target="_blank" rel="noreferrer">
            <${Icon} name="external" />Open in a tab</a>`
          }
          ${launch.access === 'private' && isChangeable(launch) && html`<${ShareButton} app=${app} launch=${launch} />`}
          <button type="button" class="small" aria-expanded=${isOpen ? 'true' : 'false'}
            onClick=${() => setLog(isOpen ? undefined : { deployment: null })}><${Icon} name="list" />Log</button>
          <${LaunchControls} ...${of} onAgain=${() => setAgain(true)} />
        </div>
      </header>
      ${actions.problem && html`<${ProblemBox} what=${notDone[actions.asked]} error=${actions.problem} />`}
      <${LaunchNotices} ...${of} />
      <${Stage} app=${app} launch=${launch} deployments=${deployments} />
      ${log && html`<${AppLog} launch=${launch} deployment=${log.deployment} />`}
      ${isFull ? html`<${LaunchFacts} launch=${launch} />` : html`<${More} launch=${launch} />`}
    </section>
    ${isFull && html`<${UsageDetails} launch=${launch} usage=${usage} />`}
    ${isFull && html`<${Deployments} ...${of} onLog=${(/** @type {number} */ deployment) => setLog({ deployment })} />`}
    ${isAgain && html`<${LaunchAgain} app=${app} launch=${launch} onClose=${() => setAgain(false)} />`}
  `;
}

const accessWords = { public: 'Public', private: 'Private' };

/**
 * For who does not see it: said when it becomes something else.
 * @param {App} app @param {Launch} launch @param {readonly Deployment[]} deployments
 */
function spokenOf({ name }, launch, deployments) {
  const coming = isServing(launch) ? comingOf(deployments) : undefined;
  const failed = coming === undefined ? failedOf(launch, deployments) : undefined;
  const more = coming
    ? comingWords(launch, coming)
    : failed
      ? `Deployment ${failed.deployment} did not come up. Deployment ${launch.serving} goes on serving.`
      : stateWords(launch, deployments);
  return `Launch of ${name}: ${statusWord(launch.status)}. ${more}`;
}

/** @param {{ launch: Launch }} props */
const More = ({ launch }) =>
  html`<p class="panel-foot"><a href=${appUrl(launch.appId, `launches/${launch.id}`)}>Its containers, and how it
    runs</a></p>`;

/** @param {{ launch: Launch, deployment: number | null }} props */
function AppLog({ launch, deployment }) {
  const path = `/launches/${launch.id}/logs`;
  const isPresent = deployment === null;
  // What another container prints is another text.
  const key = isPresent ? `${launch.serving ?? 'none'} ${isAlive(launch)}` : deployment;
  return html`<${LogView} key=${key} path=${isPresent ? path : `${path}?deployment=${deployment}`} isEndless
    label=${isPresent ? 'Log of the app' : `Log of deployment ${deployment}`}
    name=${isPresent ? `launch-${launch.id}` : `launch-${launch.id}-${deployment}`} />`;
}
