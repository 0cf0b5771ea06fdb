/** The containers that a launch has had: what each was for, which build it ran, how it ended; and the way back to one. */
import { html, useRef } from '../lib/html.js';
import { appUrl } from '../lib/router.js';
import { useKeptFocus } from '../lib/use.js';
import { Icon } from '../parts/icon.js';
import { MayButton } from '../parts/may.js';
import { Status } from '../parts/status.js';
import { Ago, Soon } from '../parts/time.js';
import { buildWords, causes, comingOf, endWords, isChangeable, removalWords } from './launch-words.js';

/** @import { App, Deployment, Launch } from '../lib/shapes.js' */
/** @import { LaunchActions } from './launch-actions.js' */

/**
 * @param {{ launch: Launch, deployments: readonly Deployment[], actions: LaunchActions,
 *   onLog: (deployment: number) => void }} props
 */
export function Deployments({ launch, deployments, actions, onLog }) {
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  useKeptFocus(box, '.deployment button');
  if (deployments.length === 0) return null;
  const back = backOf(launch, deployments);
  const isOne = new Set(deployments.map(({ buildId }) => buildId)).size === 1;
  return html`
    <section ref=${box} class="deployments" aria-labelledby="deployments-title">
      <h2 id="deployments-title">Deployments</h2>
      <p class="dim">Each is a container of its own behind the same address. A new one takes over once it is well, so
        that no visitor notices.
        ${isOne && isChangeable(launch) && 'Once another build has run here, you can go back to the one before.'}</p>
      <ol role="list">
        ${deployments.map(
          one => html`<${Row} key=${one.deployment} launch=${launch} one=${one} actions=${actions} onLog=${onLog}
          isBack=${back.has(one.deployment)} />`,
        )}
      </ol>
    </section>
  `;
}

/**
 * The newest deployment of each other build that has run: a way back.
 * @param {Launch} launch @param {readonly Deployment[]} deployments
 */
function backOf(launch, deployments) {
  if (!isChangeable(launch) || launch.status === 'requested') return new Set();
  const coming = comingOf(deployments);
  const seen = new Set([launch.buildId, coming?.buildId]);
  /** @type {Set<number>} */
  const back = new Set();
  for (const { buildId, deployment, runningAt } of deployments) {
    if (runningAt === null || seen.has(buildId)) continue;
    seen.add(buildId);
    back.add(deployment);
  }
  return back;
}

/**
 * @param {{ launch: Launch, one: Deployment, actions: LaunchActions, isBack: boolean,
 *   onLog: (deployment: number) => void }} props
 */
function Row({ launch, one, actions, isBack, onLog }) {
  const { deployment, status, cause, failure, notBefore, imageRemoved } = one;
  const sign = failure !== null ? 'failed' : status;
  const waits = status === 'coming' && notBefore !== null && Date.parse(notBefore) > Date.now();
  return html`
    <li class="deployment" aria-current=${status === 'serving' ? 'true' : undefined}>
      <span class="number">${deployment}</span>
      <${Status} status=${sign} />
      <span class="what">${causes[cause] ?? cause}${' '}<a class="mono" href=${appUrl(launch.appId, `builds/${one.buildId}`)}>
        ${buildWords(one)}</a>${' '}<span class="dim"><${Ago} at=${one.requestedAt} /></span></span>
      <span class="how ${failure !== null ? 'failure' : 'dim'}">${
        waits
          ? html`<${Soon} at=${notBefore} what="Starts" />`
          : status === 'serving'
            ? servingWords(one)
            : endWords(launch, one)
      }</span>
      <span class="actions">
        <button type="button" class="small" aria-label=${`Log of deployment ${deployment}`}
          onClick=${() => onLog(deployment)}><${Icon} name="list" />Log</button>
        ${
          isBack &&
          (imageRemoved === null
            ? html`<${MayButton} may=${actions.may} isBusy=${actions.isBusy} class="small"
              aria-label=${`Roll back to ${buildWords(one)}, deployment ${deployment}`}
              onClick=${() => actions.rollback(one.buildId)}><${Icon} name="back" />Roll back to this<//>`
            : html`<span class="why">${removalWords(imageRemoved)}</span>`)
        }
      </span>
    </li>
  `;
}

/** @param {Deployment} one */
const servingWords = ({ runningAt }) =>
  runningAt === null ? 'Serves' : html`Serves since <${Ago} at=${runningAt} />`;
