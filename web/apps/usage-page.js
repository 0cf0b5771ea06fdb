/** The page of what one's launches have used in a period, and may; administrators see everybody's. */

import { getJson } from '../lib/api.js';
import { html } from '../lib/html.js';
import { may } from '../lib/identity.js';
import { useLive } from '../lib/live.js';
import { appUrl, go, usePlace } from '../lib/router.js';
import { useTitle } from '../lib/use.js';
import { Icon } from '../parts/icon.js';
import { ProblemBox } from '../parts/problem.js';
import { Until } from '../parts/time.js';
import { hoursOf, secondsOf } from './usage-words.js';

/** @import { Quota, Usage } from '../lib/shapes.js' */

/** Sums of everybody are no small thing to add up. */
const everyMs = 5_000;

export function UsagePage() {
  useTitle('Usage');
  const { query } = usePlace();
  const isAdmin = may('admin');
  const isAll = isAdmin && query.get('of') === 'everybody';
  const month = query.get('month') ?? '';
  const asked = new URLSearchParams({
    ...(isAll ? { all: 'true' } : {}),
    ...(month === '' ? {} : { period: month }),
  });
  const path = `/usage${asked.size === 0 ? '' : `?${asked}`}`;
  const { value, error, reload } = useLive(path, {
    load: async options => /** @type {Usage} */ ((await getJson(path, options)).data),
    isAbout: event => event.type === 'LaunchUsed' || event.type.startsWith('Quota'),
    everyMs,
  });
  const to = (/** @type {string} */ wanted, /** @type {boolean} */ all) => {
    const next = new URLSearchParams({
      ...(all ? { of: 'everybody' } : {}),
      ...(wanted === '' ? {} : { month: wanted }),
    });
    go(`/access/usage${next.size === 0 ? '' : `?${next}`}`, { replace: true });
  };
  return html`
    <div class="access">
      <div class="access-head">
        <h1 tabindex="-1">Usage</h1>
        <label class="end">Period <select value=${month}
          onChange=${(/** @type {Event} */ event) => to(/** @type {HTMLSelectElement} */ (event.target).value, isAll)}>
          <option value="">Now</option>
          ${monthsOf(new Date(), month).map(name => html`<option key=${name} value=${name}>${name}</option>`)}
        </select></label>
        ${
          isAdmin &&
          html`<label class="check"><input type="checkbox" checked=${isAll} onChange=${() => to(month, !isAll)} />
            That of everybody</label>`
        }
      </div>
      ${error !== undefined && html`<${ProblemBox} error=${error} onRetry=${reload} />`}
      ${value === undefined && error === undefined && html`<p class="waiting" role="status">Adding up…</p>`}
      ${value !== undefined && html`<${Sums} usage=${value} />`}
    </div>
  `;
}

/** The last twelve, and the one that is shown. @param {Date} now @param {string} shown */
function monthsOf(now, shown) {
  const months = Array.from({ length: 12 }, (_, back) =>
    new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - back, 1)).toISOString().slice(0, 7),
  );
  return shown === '' || months.includes(shown) ? months : [shown, ...months];
}

/** @param {{ usage: Usage }} props */
function Sums({ usage }) {
  const { period, cpuSeconds, memoryMbHours, quotas, apps, days, owners } = usage;
  const byOwner = owners.map(({ owner, ...of }) => ({ name: owner, ...of }));
  const byApp = apps.map(({ appId, ...of }) => ({ name: appId, url: appUrl(appId), ...of }));
  const byDay = days.toReversed().map(({ day, ...of }) => ({ name: day, ...of }));
  return html`
    <section class="panel panel-body" aria-labelledby="sums-title">
      <h2 id="sums-title">From ${dayOf(period.from)} until ${dayOf(period.until)} (UTC)</h2>
      <p>${secondsOf(cpuSeconds)}, ${hoursOf(memoryMbHours)}</p>
      ${quotas.map(one => html`<${QuotaGauge} key=${`${one.owner} ${one.resource}`} quota=${one} />`)}
      ${quotas.length === 0 && html`<p class="dim">Nothing is limited by a quota here.</p>`}
      <p class="dim">What was used last is added some minutes later.</p>
    </section>
    ${
      apps.length === 0
        ? html`<div class="empty small"><h2>Nothing was used</h2>
            <p class="dim">Launches that run are counted here.</p></div>`
        : html`
          ${owners.length > 0 && html`<${Table} title="By owner" what="Owner" rows=${byOwner} />`}
          <${Table} title="By app" what="App" rows=${byApp} />
          <${Table} title="By day" what="Day" rows=${byDay} />
        `
    }
  `;
}

/** @param {string} time */
const dayOf = time => time.slice(0, 10);

/** @param {{ quota: Quota }} props */
function QuotaGauge({ quota: { owner, resource, used, max, freeAt } }) {
  const words = resource === 'cpuSeconds' ? secondsOf : hoursOf;
  const whose = owner === null ? 'All launches together' : 'Your launches';
  return html`
    <div class="gauge">
      <p>${whose} may use ${words(max)} in a period${used !== null && html`; used are ${words(used)}`}.</p>
      ${
        used !== null &&
        html`<meter min="0" max=${max} high=${max * 0.8} optimum="0" value=${Math.min(used, max)}
          aria-label=${`Quota: ${words(used)} of ${words(max)}`}></meter>`
      }
      ${
        freeAt !== null &&
        html`<p class="notice bad"><${Icon} name="warn" /><span>It is used up. Nothing is started before
          ${' '}<${Until} at=${freeAt} />.</span></p>`
      }
    </div>
  `;
}

/**
 * @param {{ title: string, what: string,
 *   rows: readonly { name: string, url?: string, cpuSeconds: number, memoryMbHours: number }[] }} props
 */
function Table({ title, what, rows }) {
  return html`
    <section class="panel panel-body" aria-label=${title}>
      <h2>${title}</h2>
      <table class="sums">
        <thead><tr><th scope="col">${what}</th><th scope="col">CPU seconds</th><th scope="col">MB-hours</th></tr></thead>
        <tbody>${rows.map(
          ({ name, url, cpuSeconds, memoryMbHours }) =>
            html`<tr key=${name}><th scope="row">${url === undefined ? name : html`<a href=${url}>${name}</a>`}</th>
              <td>${numberOf(cpuSeconds)}</td><td>${numberOf(memoryMbHours)}</td></tr>`,
        )}</tbody>
      </table>
    </section>
  `;
}

/** @param {number} value */
const numberOf = value => value.toLocaleString(undefined, { maximumFractionDigits: 1 });
