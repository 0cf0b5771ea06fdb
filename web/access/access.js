/** The page about oneself: who is signed in and what he may do, his keys and sessions; administrators see everybody's. */
import { html } from '../lib/html.js';
import { may, useWho } from '../lib/identity.js';
import { go, usePlace } from '../lib/router.js';
import { scopesByContext } from '../lib/scopes.js';
import { useTitle } from '../lib/use.js';
import { Until } from '../parts/time.js';
import { ApiKeys } from './api-key.js';
import { Sessions } from './session.js';

export function AccessPage() {
  useTitle('Access');
  const { query } = usePlace();
  const isAdmin = may('admin');
  const isAll = isAdmin && query.get('of') === 'everybody';
  return html`
    <div class="access">
      <div class="access-head">
        <h1 tabindex="-1">Access</h1>
        ${isAdmin && html`<${Whose} isAll=${isAll} />`}
      </div>
      <div class="two">
        <div class="panel-stack">
          <${ApiKeys} key=${`keys ${isAll}`} isAll=${isAll} />
          <${Sessions} key=${`sessions ${isAll}`} isAll=${isAll} />
        </div>
        <aside class="panel-stack" aria-label="Who you are"><${Me} /></aside>
      </div>
    </div>
  `;
}

/** @param {{ isAll: boolean }} props */
function Whose({ isAll }) {
  const change = () => go(isAll ? '/access' : '/access?of=everybody', { replace: true });
  return html`<label class="check end"><input type="checkbox" checked=${isAll} onChange=${change} />
    Those of everybody</label>`;
}

function Me() {
  const { subject, name, scopes, apps, expires } = useWho();
  const isAll = scopes.includes('*');
  return html`
    <section class="panel panel-body" aria-labelledby="me-title">
      <h2 id="me-title">${name ?? subject}</h2>
      <dl class="pairs">
        ${name !== null && name !== subject && html`<dt>Known as</dt><dd class="mono">${subject}</dd>`}
        <dt>Signed in</dt><dd>${expires === null ? 'without an end' : html`until <${Until} at=${expires} />`}</dd>
        <dt>Apps</dt><dd>${apps === null ? 'all of them' : apps.join(', ')}</dd>
      </dl>
      <h3>What you may do</h3>
      ${isAll && html`<p>Everything.</p>`}
      ${scopes.length === 0 && html`<p>Nothing yet. Ask whoever runs AppHub for scopes.</p>`}
      ${!isAll && html`<${MyScopes} scopes=${scopes} />`}
    </section>
  `;
}

/** @param {{ scopes: string[] }} props */
function MyScopes({ scopes }) {
  return html`
    <ul class="tags" role="list" aria-label="Scopes">
      ${scopesByContext(scopes)
        .flatMap(([, held]) => held)
        .map(scope => html`<li key=${scope} class="scope">${scope}</li>`)}
    </ul>
  `;
}
