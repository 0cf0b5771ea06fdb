/** What can be asked of a launch while it lives, and the buttons for what makes sense now. */
import { toast } from '../lib/announce.js';
import { write } from '../lib/api.js';
import { html, useState } from '../lib/html.js';
import { useMay } from '../lib/identity.js';
import { useAction } from '../lib/use.js';
import { Icon } from '../parts/icon.js';
import { MayButton, Why } from '../parts/may.js';
import { Extend } from './launch-extend.js';
import { buildWords, comingOf, earlierOf, isAlive, isChangeable, newerOf } from './launch-words.js';

/** @import { App, Deployment, Launch } from '../lib/shapes.js' */
/** @import { May } from '../lib/identity.js' */

/** @type {Readonly<Record<string, string>>} */
export const notDone = {
  redeploy: 'It was not redeployed',
  rollback: 'It was not rolled back',
  sleep: 'It was not put to sleep',
  wake: 'It was not woken',
  stop: 'It was not stopped',
};

/** @type {Readonly<Record<string, string>>} */
const done = {
  redeploy: 'Redeploying',
  rollback: 'Rolling back',
  sleep: 'Going to sleep',
  wake: 'Waking',
  stop: 'Stopping',
};

/**
 * @typedef {object} LaunchActions
 * @property {May} may
 * @property {boolean} isBusy
 * @property {Error | undefined} problem of what was asked last
 * @property {string} asked what that was
 * @property {(what: string, body?: object) => Promise<void>} ask
 * @property {(buildId?: string) => Promise<void>} redeploy
 * @property {(buildId: string) => Promise<void>} rollback
 */

/** @param {App} app @param {Launch} launch @returns {LaunchActions} */
export function useLaunchActions(app, launch) {
  const [asked, setAsked] = useState('');
  const may = useMay('apps:launch', app.id);
  const { run, isBusy, problem } = useAction(
    async (/** @type {string} */ what, /** @type {object | undefined} */ body) => {
      setAsked(what);
      await write('POST', `/launches/${launch.id}/${what}`, body);
      toast(done[what] ?? 'Done');
    },
  );
  return {
    may,
    isBusy,
    problem,
    asked,
    ask: (what, body) => run(what, body),
    redeploy: buildId => run('redeploy', buildId === undefined ? undefined : { buildId }),
    rollback: buildId => run('rollback', { buildId }),
  };
}

/**
 * @param {{ app: App, launch: Launch, deployments: readonly Deployment[], actions: LaunchActions, onAgain: () => void }} props
 */
export function LaunchControls({ app, launch, deployments, actions, onAgain }) {
  const { may, isBusy, ask } = actions;
  const [isExtending, setExtending] = useState(false);
  const { status } = launch;
  if (!isAlive(launch)) {
    if (app.release === null || app.status === 'archived') return null;
    return html`<${MayButton} may=${may} class="small" aria-haspopup="dialog" onClick=${onAgain}>
      <${Icon} name="play" />Launch again…<//><${Why} may=${may} />`;
  }
  if (!isChangeable(launch)) return null;
  const coming = comingOf(deployments);
  const isSteady = ['running', 'asleep'].includes(status) && coming === undefined;
  const earlier = isSteady || status === 'restarting' ? earlierOf(launch, deployments) : undefined;
  const button = { may, isBusy };
  return html`
    ${
      status === 'asleep' &&
      html`<${MayButton} ...${button} class="small primary" onClick=${() => ask('wake')}><${Icon} name="play" />Wake<//>`
    }
    ${
      isSteady &&
      newerOf(app, launch, deployments) === undefined &&
      html`<${MayButton} ...${button} class="small" onClick=${() => actions.redeploy()}
        title="A new container of the same build; this one serves until that one is well"><${Icon}
        name="retry" />Redeploy<//>`
    }
    ${
      earlier &&
      earlier.imageRemoved === null &&
      html`<${MayButton} ...${button} class="small" onClick=${() => actions.rollback(earlier.buildId)}>
        <${Icon} name="back" />Roll back to ${buildWords(earlier)}<//>`
    }
    ${
      status === 'running' &&
      isSteady &&
      html`<${MayButton} ...${button} class="small" onClick=${() => ask('sleep')}
        title="Its container goes until somebody visits"><${Icon} name="moon" />Sleep<//>`
    }
    <${MayButton} ...${button} class="small" aria-haspopup="dialog" onClick=${() => setExtending(true)}>
      <${Icon} name="clock" />More time…<//>
    <${MayButton} ...${button} class="small danger" onClick=${() => ask('stop')}><${Icon} name="stop" />Stop<//>
    <${Why} may=${may} />
    ${isExtending && html`<${Extend} launch=${launch} onClose=${() => setExtending(false)} />`}
  `;
}
