/** The page: who is signed in, which page the address names, and what belongs to all of them. */
import { AccessPage } from './access/access.js';
import { AuditPage } from './access/audit.js';
import { SignIn, SignInAgain } from './access/sign-in.js';
import { AppPage } from './apps/app.js';
import { OpenPage } from './apps/open.js';
import { RegisterDialog } from './apps/register.js';
import { SearchPage } from './apps/search.js';
import { SearchBox, searchBoxId } from './apps/search-box.js';
import { UsagePage } from './apps/usage-page.js';
import { say } from './lib/announce.js';
import { html, render, useEffect, useErrorBoundary, useRef, useState } from './lib/html.js';
import { session, useMay } from './lib/identity.js';
import { useKeys } from './lib/keys.js';
import { go, startRouter, usePlace } from './lib/router.js';
import { startSession } from './lib/session.js';
import { useStore } from './lib/store.js';
import { startStream } from './lib/stream.js';
import { ConnectionNotice, Header } from './parts/header.js';
import { HealthNotice } from './parts/health.js';
import { HelpDialog } from './parts/help.js';
import { LiveRegion, Toasts } from './parts/live-region.js';
import { PastBar, turnBack } from './parts/past-bar.js';
import { ProblemBox } from './parts/problem.js';
import { TablesPage } from './platform/tables.js';

function Root() {
  const { state, who } = useStore(session);
  const [error, forget] = useErrorBoundary();
  if (error) {
    return html`<main><${ProblemBox} what="This page has a fault" error=${error} onRetry=${forget} /></main>`;
  }
  return html`
    ${state === 'asking' && html`<${Waiting} />`}
    ${state === 'out' && html`<${SignIn} />`}
    ${(state === 'in' || state === 'ended') && html`<${Hub} key=${who?.subject} />`}
    ${state === 'ended' && html`<${SignInAgain} />`}
    <${LiveRegion} />
    <${Toasts} />
  `;
}

/** Blank for those who are let in at once. */
const Waiting = () => html`<p class="unseen" role="status">Looking who is signed in…</p>`;

function Hub() {
  const { path, query } = usePlace();
  const [opened, setOpened] = useState({ name: '', path: '' });
  const close = () => setOpened({ name: '', path: '' });
  // Whoever goes to another page has left the dialog behind.
  const dialog = opened.path === path ? opened.name : '';
  useFocusOnNewPage(path);
  const open = (/** @type {string} */ name) => setOpened({ name, path });
  const mayRegister = useMay('apps:write');
  const register = () => (mayRegister.why === '' ? open('register') : say(mayRegister.why));
  // The page is search first: whoever comes to it can type at once.
  useEffect(() => {
    const isFree = document.activeElement === null || document.activeElement === document.body;
    if (isFree && location.pathname === '/') document.getElementById(searchBoxId)?.focus();
  }, []);
  useKeys(key => {
    if (key === '/') document.getElementById(searchBoxId)?.focus();
    else if (key === '?') open('help');
    else if (key === 'n') register();
    else if (key === 'g') go('/');
    else if (key === 't') turnBack();
    else return false;
    return true;
  });
  const [, page = '', name = '', ...rest] = path.split('/');
  return html`
    <a class="skip" href="#main">Skip to the content</a>
    <${Header} search=${html`<${SearchBox} />`} onRegister=${register} onHelp=${() => open('help')} />
    <${PastBar} />
    <${ConnectionNotice} />
    <${HealthNotice} />
    <main id="main" tabindex="-1">
      ${
        page === 'a' &&
        html`<${AppPage} key=${name} appId=${decodeURIComponent(name)} section=${rest[0] ?? ''}
          itemId=${rest[1] ?? ''} />`
      }
      ${page === 'access' && html`<${accessPages[name] ?? AccessPage} />`}
      ${page === 'tables' && html`<${TablesPage} />`}
      ${page === 'open' && html`<${OpenPage} launchId=${name} query=${query} />`}
      ${page === '' && html`<${SearchPage} onRegister=${register} />`}
    </main>
    ${dialog === 'register' && html`<${RegisterDialog} onClose=${close} />`}
    ${dialog === 'help' && html`<${HelpDialog} onClose=${close} />`}
  `;
}

/** Below `/access/`. @type {Readonly<Record<string, () => unknown>>} */
const accessPages = { audit: AuditPage, usage: UsagePage };

/** A page that was reached by a link begins at its heading, also for those who do not see it. @param {string} path */
function useFocusOnNewPage(path) {
  const before = useRef(path);
  useEffect(() => {
    const [, , appBefore] = before.current.split('/');
    const [, , app] = path.split('/');
    before.current = path;
    if (appBefore === app || app === undefined) return;
    // The search box stays as it is; whoever types goes on typing.
    if (document.activeElement?.id === searchBoxId) return;
    document.getElementById('main')?.focus({ preventScroll: true });
  }, [path]);
}

startStream();
void startSession();
startRouter();
const root = document.getElementById('root');
if (root !== null) render(html`<${Root} />`, root);
