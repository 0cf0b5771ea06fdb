/** The running app in its frame, and the address that lets its reader in. */
import { write } from '../lib/api.js';
import { html, useEffect, useState } from '../lib/html.js';
import { usePast } from '../lib/past.js';
import { ProblemBox } from '../parts/problem.js';

/** @import { App, Launch } from '../lib/shapes.js' */

/** A new grant takes the place of the one before it when so much of its time is over. */
const renewAtPart = 0.6;
const lookEveryMs = 30_000;
/** Answered before the app: sets the cookie of the grant and nothing else. */
const renewalPath = '/.well-known/apphub/grant';

/**
 * The app runs on an origin of its own, so it may have scripts and its own storage and still reaches nothing of this page.
 * It may not take over the window.
 */
const sandbox = [
  'allow-scripts',
  'allow-same-origin',
  'allow-forms',
  'allow-modals',
  'allow-popups',
  'allow-popups-to-escape-sandbox',
  'allow-downloads',
  'allow-pointer-lock',
].join(' ');

/** @param {{ app: App, launch: Launch }} props */
export function Frame({ app, launch }) {
  const { asOf } = usePast();
  if (asOf !== '')
    return html`<div class="panel-body center"><p>What the app showed then is not kept: go back to now to see it run.</p></div>`;
  return html`<${PresentFrame} app=${app} launch=${launch} />`;
}

/** @param {{ app: App, launch: Launch }} props */
function PresentFrame({ app, launch }) {
  const { src, problem, retry } = useWayIn(launch);
  // Elsewhere than over HTTPS and on this machine a browser keeps no cookie of another site for a frame.
  if (launch.access === 'private' && !isSecureContext) {
    return html`<div class="panel-body center">
      <p>Over plain HTTP a private app cannot be shown in the page. Open it in a tab.</p></div>`;
  }
  if (problem) {
    return html`<div class="panel-body"><${ProblemBox} what="It cannot be opened" error=${problem}
      onRetry=${retry} /></div>`;
  }
  if (src === '') return html`<div class="frame" role="status"><span class="unseen">Opening…</span></div>`;
  return html`<iframe class="frame" src=${src} title=${`${app.name}, running`} sandbox=${sandbox}
    allow="fullscreen" referrerpolicy="no-referrer"></iframe>`;
}

/**
 * An address of the launch that lets its reader in once, and goes on doing so while it is shown: '' until it is known.
 * @param {Launch} launch
 */
function useWayIn({ id, url, access }) {
  const isPublic = access === 'public';
  const [src, setSrc] = useState(isPublic ? url : '');
  const [problem, setProblem] = useState(/** @type {Error | undefined} */ (undefined));
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    if (isPublic) return undefined;
    let isGone = false;
    let renewAt = 0;
    let isAsking = false;
    const ask = async (/** @type {string | undefined} */ path) => {
      const asked = Date.now();
      const granted = await write('POST', `/launches/${id}/grants`, path && { path }, null);
      const ms = Date.parse(granted.expiresAt) - asked;
      renewAt = asked + (Number.isFinite(ms) ? ms * renewAtPart : Infinity);
      return /** @type {string} */ (granted.url);
    };
    const begin = () =>
      ask(undefined).then(
        way => !isGone && setSrc(way),
        error => !isGone && setProblem(error),
      );
    /** What goes wrong here is tried again, and said by the app's own address once it is too late. */
    const renew = async () => {
      if (renewAt === 0 || isAsking || Date.now() < renewAt || document.hidden) return;
      isAsking = true;
      try {
        await fetch(await ask(renewalPath), { mode: 'no-cors', credentials: 'include', cache: 'no-store' });
      } catch {
        renewAt = Date.now();
      }
      isAsking = false;
    };
    void begin();
    const timer = setInterval(renew, lookEveryMs);
    document.addEventListener('visibilitychange', renew);
    return () => {
      isGone = true;
      clearInterval(timer);
      document.removeEventListener('visibilitychange', renew);
    };
  }, [id, isPublic, turn]);
  const retry = () => {
    setProblem(undefined);
    setTurn(turn + 1);
  };
  return { src, problem, retry };
}
