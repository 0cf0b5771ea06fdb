/** What launches of an app keep: each workspace with what it holds, who has it, and its snapshots. */
import { toast } from '../lib/announce.js';
import { write } from '../lib/api.js';
import { html, useEffect, useState } from '../lib/html.js';
import { useMay } from '../lib/identity.js';
import { appUrl, go } from '../lib/router.js';
import { useAction } from '../lib/use.js';
import { Confirm } from '../parts/dialog.js';
import { Icon } from '../parts/icon.js';
import { MayButton, Why } from '../parts/may.js';
import { ProblemBox } from '../parts/problem.js';
import { Status } from '../parts/status.js';
import { Ago } from '../parts/time.js';
import { WorkspaceForm } from './workspace-form.js';
import { useWorkspaces, weighedMs } from './workspace-list.js';
import { Snapshots } from './workspace-snapshot.js';
import { holdsOf, isIdle, sizes, stateOf } from './workspace-words.js';

/** @import { App, Workspace } from '../lib/shapes.js' */

const sizeDefault = sizes[1]?.[0] ?? 0;
const pathOf = (/** @type {Workspace} */ { id }) => `/workspaces/${encodeURIComponent(id)}`;

/** @param {{ app: App, itemId: string }} props */
export function WorkspaceSection({ app, itemId }) {
  const { items, error, more, reload } = useWorkspaces(app.id);
  useEffect(() => {
    const timer = setInterval(reload, weighedMs);
    return () => clearInterval(timer);
  }, [app.id]);
  if (items === undefined) {
    return error === undefined
      ? html`<p class="waiting" role="status"><span class="spinner"></span>Reading workspaces…</p>`
      : html`<${ProblemBox} error=${error} onRetry=${reload} />`;
  }
  const shown = items.find(({ id }) => id === itemId) ?? items[0];
  return html`
    <section class="panel-stack" aria-label="Workspaces">
      ${app.status !== 'archived' && html`<${Make} app=${app} />`}
      ${
        shown === undefined
          ? html`<${None} />`
          : html`<${WorkspacePanel} key=${shown.id} app=${app} workspace=${shown} />`
      }
      <ol class="rows" role="list">
        ${items.map(
          one => html`
            <li key=${one.id}>
              <a href=${appUrl(app.id, `workspaces/${one.id}`)} aria-current=${one === shown ? 'true' : undefined}>
                <${Status} status=${stateOf(one).sign} word=${stateOf(one).word} />
                <span>${one.name}</span>
                <span class="dim">${holdsOf(one)}</span>
                <span class="dim end">${one.launchId === null ? html`made <${Ago} at=${one.requestedAt} />` : 'in use'}</span>
              </a>
            </li>
          `,
        )}
      </ol>
      ${more && html`<p class="more"><button type="button" onClick=${more}>Show older ones</button></p>`}
    </section>
  `;
}

function None() {
  return html`
    <div class="empty small">
      <h2>Nothing is kept</h2>
      <p>What an app writes goes with its container. A workspace keeps the folders that its image declares with
        <code> VOLUME</code>, beyond sleep, redeploys and the end of a launch: make one, and choose it when you launch.</p>
    </div>
  `;
}

/** @param {{ app: App }} props */
function Make({ app }) {
  const [isOpen, setOpen] = useState(false);
  const may = useMay('apps:launch', app.id);
  const make = async (/** @type {object} */ body, /** @type {string} */ key) => {
    const { id } = await write('POST', `/apps/${encodeURIComponent(app.id)}/workspaces`, body, key);
    toast('Made a workspace');
    go(appUrl(app.id, `workspaces/${id}`));
  };
  return html`
    <div class="actions">
      <${MayButton} may=${may} aria-haspopup="dialog" onClick=${() => setOpen(true)}><${Icon} name="plus" />Make a workspace<//>
      <${Why} may=${may} />
    </div>
    ${
      isOpen &&
      html`<${WorkspaceForm} title="Make a workspace" verb="Make it" bytesMax=${sizeDefault}
      onSend=${make} onClose=${() => setOpen(false)} />`
    }
  `;
}

/** @param {{ app: App, workspace: Workspace }} props */
function WorkspacePanel({ app, workspace }) {
  const { id, name, bytes, bytesMax, level, launchId, failure, source } = workspace;
  const { sign, word } = stateOf(workspace);
  return html`
    <section class="panel" aria-label=${`Workspace ${name}`}>
      <header class="panel-head">
        <${Status} status=${sign} word=${word} />
        <h2>${name}</h2>
        <div class="actions end"><${Actions} app=${app} workspace=${workspace} /></div>
      </header>
      <div class="panel-body">
        ${workspace.waitingFor && html`<p role="status">Waiting: ${workspace.waitingFor}</p>`}
        ${
          level === 'full' &&
          html`<p class="notice bad"><${Icon} name="warn" /><span>It holds more than it may, so what uses it
            is asleep and not woken. Let it hold more, or put an earlier snapshot back.</span></p>`
        }
        ${failure && html`<p class="notice bad"><${Icon} name="warn" /><span>${failure}</span></p>`}
        <p>
          ${
            bytes !== null &&
            html`<meter min="0" max=${bytesMax} high=${bytesMax * 0.8} optimum="0" value=${bytes}
            aria-label="How full it is"></meter>`
          } ${holdsOf(workspace)}${level === 'nearly' && ', nearly full'}
        </p>
        <p class="dim">
          ${workspace.paths.length > 0 && html`Keeps <code>${workspace.paths.join(' ')}</code>. `}
          ${launchId !== null && html`Used by <a href=${appUrl(app.id, `launches/${launchId}`)}>a launch</a>. `}
          ${source && html`A copy of <a href=${appUrl(app.id, `workspaces/${source.workspaceId}`)}>another one</a>. `}
          Made <${Ago} at=${workspace.requestedAt} /> by ${workspace.owner}.
        </p>
        <${Snapshots} key=${id} app=${app} workspace=${workspace} />
      </div>
    </section>
  `;
}

/** @param {{ app: App, workspace: Workspace }} props */
function Actions({ app, workspace }) {
  const [open, setOpen] = useState(/** @type {'' | 'clone' | 'change' | 'delete'} */ (''));
  const mayLaunch = useMay('apps:launch', app.id);
  const mayWrite = useMay('apps:write', app.id);
  const close = () => setOpen('');
  const clone = async (/** @type {object} */ body, /** @type {string} */ key) => {
    const { id } = await write('POST', `${pathOf(workspace)}/clone`, body, key);
    toast('Copying it');
    go(appUrl(app.id, `workspaces/${id}`));
  };
  const change = async (/** @type {object} */ body, /** @type {string} */ key) => {
    await write('PATCH', pathOf(workspace), body, key);
    toast('Saved');
  };
  const remove = useAction(async () => {
    await write('DELETE', pathOf(workspace));
    close();
    toast('Deleting it');
  });
  const { name, bytesMax } = workspace;
  if (workspace.status === 'removing') return null;
  return html`
    <${MayButton} may=${mayLaunch} class="small" aria-haspopup="dialog" isBusy=${workspace.status !== 'ready'}
      onClick=${() => workspace.status === 'ready' && setOpen('clone')}>Copy…<//>
    <${MayButton} may=${mayWrite} class="small" aria-haspopup="dialog" onClick=${() => setOpen('change')}>Change…<//>
    <${MayButton} may=${mayLaunch} class="small danger" aria-haspopup="dialog"
      isBusy=${!isIdle(workspace) || workspace.launchId !== null}
      onClick=${() => isIdle(workspace) && workspace.launchId === null && setOpen('delete')}>Delete…<//>
    <${Why} may=${mayLaunch} isUnseen /><${Why} may=${mayWrite} isUnseen />
    ${
      open === 'clone' &&
      html`<${WorkspaceForm} title=${`Copy ${name}`} verb="Copy it" name=${`Copy of ${name}`}
        bytesMax=${bytesMax} onSend=${clone} onClose=${close} />`
    }
    ${
      open === 'change' &&
      html`<${WorkspaceForm} title=${`Change ${name}`} verb="Save" name=${name} bytesMax=${bytesMax}
        onSend=${change} onClose=${close} />`
    }
    ${
      open === 'delete' &&
      html`
      <${Confirm} title=${`Delete ${name}?`} verb="Delete it" isBusy=${remove.isBusy}
        onYes=${() => remove.run()} onClose=${close}>
        <p>All that it holds and its ${workspace.snapshots} snapshots are gone then. It cannot be brought back.</p>
        ${remove.problem && html`<${ProblemBox} error=${remove.problem} />`}
      <//>
    `
    }
  `;
}
