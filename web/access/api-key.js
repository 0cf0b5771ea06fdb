/** API keys: what programs use in place of a person. Each is shown once, when it is made or rotated. */
import { toast } from '../lib/announce.js';
import { write } from '../lib/api.js';
import { html, useState } from '../lib/html.js';
import { useMay } from '../lib/identity.js';
import { usePages } from '../lib/pages.js';
import { useAction } from '../lib/use.js';
import { Confirm } from '../parts/dialog.js';
import { Icon } from '../parts/icon.js';
import { MayButton, Why } from '../parts/may.js';
import { ProblemBox } from '../parts/problem.js';
import { Status } from '../parts/status.js';
import { Ago, Until } from '../parts/time.js';
import { ListFoot } from './list-foot.js';
import { MakeKey } from './make-key.js';
import { RotateKey } from './rotate-key.js';
import { ShownOnce } from './shown-once.js';

/** @import { ApiKey } from '../lib/shapes.js' */
/** @typedef {{ name: string, key: string }} Shown a key that is seen now and never again */

/** @param {{ isAll: boolean }} props */
export function ApiKeys({ isAll }) {
  const may = useMay('keys:write');
  const [isMaking, setMaking] = useState(false);
  const [shown, setShown] = useState(/** @type {Shown | undefined} */ (undefined));
  return html`
    <section class="panel panel-body" aria-labelledby="keys-title">
      <div class="access-head">
        <h2 id="keys-title" tabindex="-1">API keys${isAll && ' of everybody'}</h2>
        <span class="end actions">
          <${MayButton} may=${may} class="small" aria-haspopup="dialog" onClick=${() => setMaking(true)}>
            <${Icon} name="plus" />Make a key<//>
          <${Why} may=${may} />
        </span>
      </div>
      ${
        shown &&
        html`<${ShownOnce} key=${shown.key} name=${shown.name} secret=${shown.key}
        onDone=${() => {
          setShown(undefined);
          document.getElementById('keys-title')?.focus();
        }} />`
      }
      ${may.why === '' && html`<${Keys} isAll=${isAll} onShow=${setShown} />`}
      ${isMaking && html`<${MakeKey} onClose=${() => setMaking(false)} onMade=${setShown} />`}
    </section>
  `;
}

/** @param {{ isAll: boolean, onShow: (shown: Shown) => void }} props */
function Keys({ isAll, onShow }) {
  const [hasEnded, setEnded] = useState(false);
  /** @type {import('../lib/pages.js').Pages<ApiKey>} */
  const { items, error, more, reload } = usePages(`/auth/api-keys${isAll ? '?all=true' : ''}`, {
    isAbout: event => event.stream.startsWith('access.api-key-'),
  });
  if (items === undefined) {
    return error === undefined
      ? html`<p class="waiting" role="status"><span class="spinner"></span>Reading keys…</p>`
      : html`<${ProblemBox} what="Keys cannot be listed" error=${error} onRetry=${reload} />`;
  }
  const ended = items.filter(({ status }) => status !== 'active').length;
  const seen = items.filter(({ status }) => hasEnded || status === 'active');
  return html`
    ${error && html`<${ProblemBox} what="This may be old" error=${error} onRetry=${reload} />`}
    ${seen.length === 0 && html`<${NoKeys} />`}
    <ul class="credentials" role="list" aria-labelledby="keys-title">
      ${seen.map(key => html`<${Key} key=${key.id} apiKey=${key} isAll=${isAll} onShow=${onShow} onChanged=${reload} />`)}
    </ul>
    <${ListFoot} more=${more} ended=${ended} isShown=${hasEnded} onToggle=${() => setEnded(!hasEnded)} />
  `;
}

function NoKeys() {
  return html`
    <div class="empty small">
      <p>No keys. A key lets a program act for you, in a script or in CI, with no more scopes than you give it:</p>
      <pre class="log" tabindex="0" aria-label="How a key is used"><code>${usage('aph_…')}</code></pre>
    </div>
  `;
}

/** @param {string} key */
const usage = key => `curl -H "Authorization: Bearer ${key}" ${location.origin}/apps`;

/** @type {Readonly<Record<string, { sign: string, word: string }>>} */
const signs = {
  active: { sign: 'ready', word: 'Active' },
  expired: { sign: 'expired', word: 'Expired' },
  revoked: { sign: 'stopped', word: 'Revoked' },
};

/** @param {{ apiKey: ApiKey, isAll: boolean, onShow: (shown: Shown) => void, onChanged: () => void }} props */
function Key({ apiKey, isAll, onShow, onChanged }) {
  const { id, name, owner, hint, scopes, apps, status } = apiKey;
  const { sign, word } = signs[status] ?? { sign: status, word: status };
  return html`
    <li class="credential" data-key=${id}>
      <div class="access-head">
        <h3>${name}</h3>
        <code class="dim">aph_…${hint}</code>
        <span class="end"><${Status} status=${sign} word=${word} /></span>
      </div>
      <ul class="tags" role="list" aria-label=${`Scopes of ${name}`}>
        ${scopes.map(scope => html`<li key=${scope} class="scope">${scope}</li>`)}
      </ul>
      <p class="dim facts">
        ${isAll && html`<span>of ${owner}</span>`}
        <span>made <${Ago} at=${apiKey.createdAt} /></span>
        <span>${
          apiKey.lastSeenAt === null
            ? 'never used'
            : html`used <${Ago} at=${apiKey.lastSeenAt} />${apiKey.lastSeenIp && ` from ${apiKey.lastSeenIp}`}`
        }</span>
        ${status === 'active' && html`<span><${End} at=${apiKey.expiresAt} /></span>`}
        ${apps !== null && html`<span>only for ${apps.join(', ')}</span>`}
        <${Overlap} until=${apiKey.previousUntil} />
      </p>
      ${status === 'active' && html`<${Changes} apiKey=${apiKey} onShow=${onShow} onChanged=${onChanged} />`}
    </li>
  `;
}

/** @param {{ at: string | null }} props */
const End = ({ at }) => (at === null ? 'does not end by itself' : html`good until <${Until} at=${at} />`);

/** @param {{ until: string | null }} props */
function Overlap({ until }) {
  if (until === null || Date.parse(until) < Date.now()) return null;
  return html`<span>the one before is good until <${Until} at=${until} /></span>`;
}

/** @param {{ apiKey: ApiKey, onShow: (shown: Shown) => void, onChanged: () => void }} props */
function Changes({ apiKey, onShow, onChanged }) {
  const { id, name, owner } = apiKey;
  const [asked, setAsked] = useState('');
  const close = () => setAsked('');
  const may = useMay('keys:write');
  const revoke = useAction(async () => {
    await write('DELETE', `/auth/api-keys/${id}`);
    close();
    toast(`${name} is revoked`);
    onChanged();
    document.getElementById('keys-title')?.focus();
  });
  return html`
    <div class="actions">
      <${RotateKey} apiKey=${apiKey} onShow=${(/** @type {Shown} */ shown) => {
        onShow(shown);
        onChanged();
      }} />
      <${MayButton} may=${may} class="small danger" aria-haspopup="dialog" aria-label=${`Revoke ${name}…`}
        onClick=${() => setAsked('revoke')}>Revoke…<//>
      <${Why} may=${may} isUnseen />
    </div>
    ${
      asked === 'revoke' &&
      html`
      <${Confirm} title=${`Revoke ${name}?`} verb="Revoke it" isBusy=${revoke.isBusy}
        onYes=${() => revoke.run()} onClose=${close}>
        <p>Whatever uses this key of ${owner} is refused from now on. It cannot be taken back; a new key can be made.</p>
        ${revoke.problem && html`<${ProblemBox} error=${revoke.problem} />`}
      <//>
    `
    }
  `;
}
