/** Starting an app: at once with one key, or with its options. */
import { toast } from '../lib/announce.js';
import { randomKey, write } from '../lib/api.js';
import { html, useState } from '../lib/html.js';
import { useMay } from '../lib/identity.js';
import { appUrl, go } from '../lib/router.js';
import { useAction } from '../lib/use.js';
import { Icon } from '../parts/icon.js';
import { MayButton, Why } from '../parts/may.js';
import { ProblemBox } from '../parts/problem.js';
import { LaunchDialog } from './launch-form.js';

/** @import { App, Launch } from '../lib/shapes.js' */

/**
 * Asks for a launch and goes where it can be seen.
 * @param {string} appId
 * @param {object} body
 * @param {string} [key]
 */
async function launchApp(appId, body, key = randomKey()) {
  const { id } = await write('POST', `/apps/${encodeURIComponent(appId)}/launches`, body, key);
  toast('Launch requested');
  go(appUrl(appId, `launches/${id}`));
}

/** @param {{ app: App }} props */
export function LaunchButtons({ app }) {
  const [isOpen, setOpen] = useState(false);
  const launch = useAction(() => launchApp(app.id, {}));
  const may = useMay('apps:launch', app.id);
  if (app.release === null) return null;
  return html`
    <div class="actions">
      <${MayButton} may=${may} class="primary" isBusy=${launch.isBusy} onClick=${() => launch.run()}>
        <${Icon} name="play" />Launch
      <//>
      <${MayButton} may=${may} aria-haspopup="dialog" onClick=${() => setOpen(true)}>Options…<//>
      <${Why} may=${may} />
    </div>
    ${launch.problem && html`<${ProblemBox} error=${launch.problem} />`}
    ${isOpen && html`<${LaunchDialog} app=${app} onClose=${() => setOpen(false)} onLaunch=${launchApp} />`}
  `;
}

/**
 * The options of a launch that is over, to launch it once more.
 * @param {{ app: App, launch: Launch, onClose: () => void }} props
 */
export const LaunchAgain = ({ app, launch, onClose }) =>
  html`<${LaunchDialog} app=${app} like=${launch} onClose=${onClose} onLaunch=${launchApp} />`;
