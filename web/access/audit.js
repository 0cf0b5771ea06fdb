/** Who did what, and who was refused: newest first, as it happens. The filters are in the address, so a finding can be linked. */
import { say } from '../lib/announce.js';
import { countOf, dateTimeOf, eventWords } from '../lib/format.js';
import { html, useEffect, useRef } from '../lib/html.js';
import { useMay } from '../lib/identity.js';
import { usePages } from '../lib/pages.js';
import { appUrl, usePlace } from '../lib/router.js';
import { useTitle } from '../lib/use.js';
import { ProblemBox } from '../parts/problem.js';
import { Status } from '../parts/status.js';
import { Ago } from '../parts/time.js';
import { auditUrl, filtersOf } from './audit-address.js';
import { AuditFilters } from './audit-filter.js';

/** @import { AuditRecord } from '../lib/shapes.js' */
/** @import { Filters } from './audit-address.js' */

const step = 50;
/** A busy hub has many events a second; its record is calm. */
const everyMs = 1_000;

export function AuditPage() {
  useTitle('Audit');
  const may = useMay('audit:read');
  const { query } = usePlace();
  const filters = filtersOf(query);
  return html`
    <div class="audit">
      <h1 tabindex="-1">Audit</h1>
      ${
        may.why === ''
          ? html`<${AuditFilters} key=${auditUrl(filters)} filters=${filters} /><${Records} filters=${filters} />`
          : html`<section class="empty small">
            <h2>You may not see this</h2>
            <p>${may.why}. Here is who did what, and who was refused. Ask whoever runs AppHub for this scope.</p>
          </section>`
      }
    </div>
  `;
}

/** @param {{ filters: Filters }} props */
function Records({ filters }) {
  const query = auditUrl(filters).slice('/access/audit'.length);
  /** @type {import('../lib/pages.js').Pages<AuditRecord>} */
  const { items, error, more, reload } = usePages(`/audit${query}`, { isAbout: () => true, step, everyMs });
  useSpokenCount(query, items);
  if (items === undefined) {
    return error === undefined
      ? html`<p class="waiting" role="status"><span class="spinner"></span>Reading the record…</p>`
      : html`<${ProblemBox} what="The record cannot be read" error=${error} onRetry=${reload} />`;
  }
  return html`
    <section class="panel-stack" aria-label="Record">
      ${error && html`<${ProblemBox} what="This may be old" error=${error} onRetry=${reload} />`}
      ${
        items.length === 0
          ? html`<${NothingFound} filters=${filters} />`
          : html`<ol class="history audit-list" role="list">
            ${items.map(record => html`<${Entry} key=${record.position} record=${record} filters=${filters} />`)}
          </ol>`
      }
      ${more && html`<p class="more"><button type="button" onClick=${more}>Show older ones</button></p>`}
    </section>
  `;
}

/**
 * Said when the filters have changed, not whenever something happens.
 * @param {string} query
 * @param {unknown[] | undefined} items
 */
function useSpokenCount(query, items) {
  const saidFor = useRef(/** @type {string | undefined} */ (undefined));
  useEffect(() => {
    if (items === undefined || saidFor.current === query) return;
    const isFirst = saidFor.current === undefined;
    saidFor.current = query;
    if (!isFirst) say(items.length === 0 ? 'Nothing found' : `${countOf(items.length, 'record')} shown`);
  }, [query, items]);
}

/** @param {{ filters: Filters }} props */
function NothingFound({ filters }) {
  const set = /** @type {(keyof Filters)[]} */ (Object.keys(filters)).filter(name => filters[name] !== '');
  if (set.length === 0) {
    return html`
      <div class="empty small">
        <h2>Nothing has happened yet</h2>
        <p>Every change that somebody asks for is written here with who it was, from where and by which route; so is every
          attempt that was refused. It appears by itself.</p>
      </div>
    `;
  }
  return html`
    <div class="empty small">
      <h2>Nothing in the record fits all of this</h2>
      <ul class="ways">
        <li>A word finds exactly itself; with <code>*</code> at its end it finds whatever begins so, like
          ${' '}<code>apps/team-*</code>.</li>
        ${set.map(
          name => html`<li key=${name}><a href=${auditUrl({ ...filters, [name]: '' })}>Look without ${name}
          ${' '}<b>${filters[name]}</b></a></li>`,
        )}
        <li><a href="/access/audit">Show everything</a></li>
      </ul>
    </div>
  `;
}

/** @type {Readonly<Record<string, string>>} */
const outcomes = {
  succeeded: 'Done',
  unauthorized: 'Not known',
  forbidden: 'Lacks the scope',
  'foreign-resource': 'App out of reach',
};

/** @param {{ record: AuditRecord, filters: Filters }} props */
function Entry({ record, filters }) {
  const { actor, action, target, outcome, count, at } = record;
  const isDone = outcome === 'succeeded';
  /** @type {[string, Partial<Filters>][]} */
  const links = [
    ['by this actor', { actor }],
    ['this action', { action }],
    ...(target === null ? [] : [/** @type {[string, Partial<Filters>]} */ (['this target', { target }])]),
    ['this outcome', { outcome }],
  ];
  return html`
    <li>
      <details>
        <summary>
          <${Status} status=${isDone ? 'ready' : 'failed'} word=${outcomes[outcome] ?? outcome} />
          <span class="what">${eventWords(action)}${count > 1 && html` <b>× ${count.toLocaleString()}</b>`}</span>
          <span class="dim why">by ${actor}${target !== null && `, ${target}`}</span>
          <span class="dim end"><${Ago} at=${at} /></span>
        </summary>
        <${Details} record=${record} />
        <p class="only">Only ${links.map(
          ([text, more], at) => html`${at > 0 && ', '}<a key=${text}
          href=${auditUrl({ ...filters, ...more })}>${text}</a>`,
        )}</p>
      </details>
    </li>
  `;
}

/** @param {{ record: AuditRecord }} props */
function Details({ record }) {
  const { actor, target, outcome, status, count, since, at } = record;
  const appId = target?.startsWith('apps/') ? target.slice('apps/'.length) : undefined;
  return html`
    <dl class="pairs">
      <dt>Time</dt>
      <dd>${dateTimeOf(at)}${count > 1 && `, ${countOf(count, 'time')} since ${dateTimeOf(since)}`}</dd>
      <dt>Who</dt><dd>${actor}</dd>
      <dt>From</dt><dd class="mono">${record.ip || 'unknown'}</dd>
      <dt>With</dt><dd>${record.userAgent || 'unknown'}</dd>
      <dt>Route</dt><dd class="mono">${record.route}</dd>
      ${
        target !== null &&
        html`<dt>Target</dt>
        <dd class="mono">${appId === undefined ? target : html`<a href=${appUrl(appId)}>${target}</a>`}</dd>`
      }
      <dt>Outcome</dt><dd class="mono">${outcome}${status !== null && ` (${status})`}</dd>
      <dt>Position</dt><dd class="mono">${record.position}</dd>
      <dt>Correlation</dt><dd class="mono">${record.correlationId}</dd>
    </dl>
  `;
}
