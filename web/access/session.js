/** Sessions: who is signed in, with which browser and from where. Each can be ended from here. */
import { toast } from '../lib/announce.js';
import { write } from '../lib/api.js';
import { html, useState } from '../lib/html.js';
import { usePages } from '../lib/pages.js';
import { signOut } from '../lib/session.js';
import { useAction } from '../lib/use.js';
import { ProblemBox } from '../parts/problem.js';
import { Status } from '../parts/status.js';
import { Ago, Until } from '../parts/time.js';
import { browserIn } from './browser.js';
import { ListFoot } from './list-foot.js';

/** @import { Session } from '../lib/shapes.js' */

/** @param {{ isAll: boolean }} props */
export function Sessions({ isAll }) {
  const [hasEnded, setEnded] = useState(false);
  /** @type {import('../lib/pages.js').Pages<Session>} */
  const { items, error, more, reload } = usePages(`/auth/sessions${isAll ? '?all=true' : ''}`, {
    isAbout: event => event.stream.startsWith('access.session-'),
  });
  const isShown = (/** @type {Session} */ { status }) => hasEnded || status === 'open';
  const ended = items?.filter(({ status }) => status !== 'open').length ?? 0;
  return html`
    <section class="panel panel-body" aria-labelledby="sessions-title">
      <h2 id="sessions-title" tabindex="-1">Sessions${isAll && ' of everybody'}</h2>
      ${
        items === undefined &&
        error === undefined &&
        html`<p class="waiting" role="status"><span class="spinner"></span>Reading sessions…</p>`
      }
      ${error && html`<${ProblemBox} what="Sessions cannot be listed" error=${error} onRetry=${reload} />`}
      <ul class="credentials" role="list" aria-labelledby="sessions-title">
        ${items?.filter(isShown).map(one => html`<${Entry} key=${one.id} session=${one} isAll=${isAll} onEnded=${reload} />`)}
      </ul>
      <${ListFoot} more=${more} ended=${ended} isShown=${hasEnded} onToggle=${() => setEnded(!hasEnded)} />
    </section>
  `;
}

/** @type {Readonly<Record<string, string>>} */
const reasons = {
  'signed-out': 'Signed out',
  'ended-by-owner': 'Ended by its owner',
  'ended-by-admin': 'Ended by an administrator',
  'signed-in-again': 'Signed in again',
  'ended-by-provider': 'Ended by the provider',
};

/** @param {Session} session */
const wordOf = ({ status, endReason, current }) =>
  current
    ? 'This one'
    : status === 'open'
      ? 'Open'
      : status === 'idle'
        ? 'Unused for too long'
        : status === 'expired'
          ? 'Time over'
          : (reasons[endReason ?? ''] ?? 'Ended');

/** @param {{ session: Session, isAll: boolean, onEnded: () => void }} props */
function Entry({ session, isAll, onEnded }) {
  const { id, subject, name, how, status, current, userAgent, ip } = session;
  const browser = browserIn(userAgent ?? '');
  const end = useAction(async () => {
    await write('DELETE', `/auth/sessions/${id}`);
    toast('The session is ended');
    onEnded();
    document.getElementById('sessions-title')?.focus();
  });
  const leave = useAction(signOut);
  return html`
    <li class=${`credential ${current ? 'current' : ''}`} data-session=${id}>
      <div class="access-head">
        <h3 title=${userAgent}>${browser}</h3>
        ${isAll && html`<span>${name === subject ? name : `${name} (${subject})`}</span>`}
        <span class="end"><${Status} status=${status === 'open' ? 'ready' : 'stopped'} word=${wordOf(session)} /></span>
      </div>
      <p class="dim facts">
        <span>signed in <${Ago} at=${session.openedAt} />
          ${how === 'oidc' ? ' at the provider' : ' with a token'}${ip && ` from ${ip}`}</span>
        ${
          session.lastSeenAt &&
          html`<span>used <${Ago} at=${session.lastSeenAt} />
          ${session.lastSeenIp && ` from ${session.lastSeenIp}`}</span>`
        }
        ${status === 'open' && html`<span>ends <${Until} at=${session.expiresAt} /> at the latest</span>`}
        ${session.endedAt && html`<span>ended <${Ago} at=${session.endedAt} /></span>`}
      </p>
      ${
        status === 'open' &&
        html`<div class="actions">${
          current
            ? html`<button type="button" class="small" aria-disabled=${leave.isBusy}
              onClick=${() => leave.run()}>Sign out</button>`
            : html`<button type="button" class="small danger" aria-disabled=${end.isBusy}
              aria-label=${`End the session in ${browser}${isAll ? ` of ${name}` : ''}`}
              onClick=${() => end.run()}>End it</button>`
        }</div>`
      }
      ${end.problem && html`<${ProblemBox} error=${end.problem} />`}
    </li>
  `;
}
