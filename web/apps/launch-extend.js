/** How much longer a launch may run. */
import { toast } from '../lib/announce.js';
import { write } from '../lib/api.js';
import { html, useState } from '../lib/html.js';
import { useAction } from '../lib/use.js';
import { Dialog } from '../parts/dialog.js';
import { Choice } from '../parts/field.js';
import { ProblemBox } from '../parts/problem.js';
import { Remaining, Until } from '../parts/time.js';
import { times } from './launch-times.js';

/** @import { Launch } from '../lib/shapes.js' */

/** @param {{ launch: Launch, onClose: () => void }} props */
export function Extend({ launch, onClose }) {
  const [ttlSeconds, setTtl] = useState(14_400);
  const extend = useAction(async () => {
    await write('POST', `/launches/${launch.id}/extend`, { ttlSeconds });
    toast('Its time is changed');
    onClose();
  });
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    void extend.run();
  };
  return html`
    <${Dialog} title="More time" onClose=${onClose}>
      <form onSubmit=${submit}>
        ${extend.problem && html`<${ProblemBox} what="Its time was not changed" error=${extend.problem} />`}
        <p class="dim">It stops at <${Until} at=${launch.expiresAt} />: <${Remaining} until=${launch.expiresAt} />.
          What you choose counts from now.</p>
        <${Choice} label="Let it run for" isFirst value=${ttlSeconds} options=${times}
          onChoose=${(/** @type {string} */ text) => setTtl(Number(text))} />
        <footer>
          <button type="button" onClick=${onClose}>Cancel</button>
          <button class="primary" aria-disabled=${extend.isBusy}>Let it run</button>
        </footer>
      </form>
    <//>
  `;
}
