/** The snapshots of a workspace: taking one, putting one back, and removing one. */
import { toast } from '../lib/announce.js';
import { write } from '../lib/api.js';
import { bytesOf, countOf, durationOf } from '../lib/format.js';
import { html, useState } from '../lib/html.js';
import { useMay } from '../lib/identity.js';
import { useAction } from '../lib/use.js';
import { Confirm } from '../parts/dialog.js';
import { MayButton, Why } from '../parts/may.js';
import { ProblemBox } from '../parts/problem.js';
import { Status } from '../parts/status.js';
import { Ago } from '../parts/time.js';
import { useSnapshots } from './workspace-list.js';
import { snapshotStateOf } from './workspace-words.js';

/** @import { App, Snapshot, Workspace } from '../lib/shapes.js' */

/** @param {{ app: App, workspace: Workspace }} props */
export function Snapshots({ app, workspace }) {
  const { value, error, reload } = useSnapshots(workspace.id);
  const may = useMay('apps:launch', app.id);
  const path = `/workspaces/${encodeURIComponent(workspace.id)}`;
  const isReady = workspace.status === 'ready';
  const take = useAction(async () => {
    await write('POST', `${path}/snapshots`);
    toast('Taking a snapshot');
  });
  return html`
    <h3>Snapshots</h3>
    <p class="actions">
      <${MayButton} may=${may} class="small" isBusy=${take.isBusy || !isReady} onClick=${() => isReady && take.run()}>
        Take a snapshot<//>
      <${Why} may=${may} />
      <span class="dim">${
        workspace.status === 'empty'
          ? 'There is nothing in it yet.'
          : 'An app that runs stands still while it is read.'
      }</span>
    </p>
    ${take.problem && html`<${ProblemBox} what="No snapshot is taken" error=${take.problem} />`}
    ${error && html`<${ProblemBox} error=${error} onRetry=${reload} />`}
    <ul class="rows" role="list">
      ${(value ?? []).map(
        one =>
          html`<${SnapshotRow} key=${one.id} path=${path} may=${may} workspace=${workspace} snapshot=${one} />`,
      )}
    </ul>
  `;
}

/** @param {{ path: string, may: import('../lib/identity.js').May, workspace: Workspace, snapshot: Snapshot }} props */
function SnapshotRow({ path, may, workspace, snapshot }) {
  const [open, setOpen] = useState(/** @type {'' | 'restore' | 'remove'} */ (''));
  const { sign, word } = snapshotStateOf(snapshot);
  const close = () => setOpen('');
  const restore = useAction(async () => {
    await write('POST', `${path}/restore`, { snapshotId: snapshot.id });
    close();
    toast('Putting it back');
  });
  const remove = useAction(async () => {
    await write('DELETE', `${path}/snapshots/${encodeURIComponent(snapshot.id)}`);
    close();
    toast('Removing it');
  });
  const isIdle = workspace.status === 'ready';
  return html`
    <li class="snapshot">
      <${Status} status=${sign} word=${snapshot.live ? `${word}, live` : word} />
      <span><${Ago} at=${snapshot.requestedAt} /></span>
      <span class="dim">${
        snapshot.reason ??
        (snapshot.contentBytes === null
          ? ''
          : `${bytesOf(snapshot.contentBytes)} in ${countOf(snapshot.entries ?? 0, 'entry', 'entries')}`)
      }${snapshot.pausedMs ? `, stood still for ${durationOf(snapshot.pausedMs)}` : ''}</span>
      ${
        snapshot.status === 'taken' &&
        html`
        <span class="actions end">
          <${MayButton} may=${may} class="small" aria-haspopup="dialog" isBusy=${!isIdle}
            onClick=${() => isIdle && setOpen('restore')}>Put back…<//>
          <${MayButton} may=${may} class="small" aria-haspopup="dialog" onClick=${() => setOpen('remove')}>Remove…<//>
        </span>
      `
      }
      ${
        open === 'restore' &&
        html`
        <${Confirm} title="Put this snapshot back?" verb="Put it back" isBusy=${restore.isBusy}
          onYes=${() => restore.run()} onClose=${close}>
          <p>What <b>${workspace.name}</b> holds now is lost; take a snapshot of it first where you may need it.
            The launch that uses it has to be asleep or stopped.</p>
          ${restore.problem && html`<${ProblemBox} error=${restore.problem} />`}
        <//>
      `
      }
      ${
        open === 'remove' &&
        html`
        <${Confirm} title="Remove this snapshot?" verb="Remove it" isBusy=${remove.isBusy}
          onYes=${() => remove.run()} onClose=${close}>
          <p>What the workspace holds stays as it is.</p>
          ${remove.problem && html`<${ProblemBox} error=${remove.problem} />`}
        <//>
      `
      }
    </li>
  `;
}
