/** The form above the record. Sending it changes the address, and the address is what is shown. */
import { html, useState } from '../lib/html.js';
import { go } from '../lib/router.js';
import { Choice, Field } from '../parts/field.js';
import { auditUrl, localOf, timeOf } from './audit-address.js';

/** @import { Filters } from './audit-address.js' */

const outcomes = [
  ['', 'Whatever came of it'],
  ['succeeded', 'Done'],
  ['refused', 'Refused, for whatever reason'],
  ['unauthorized', 'Refused: not known'],
  ['forbidden', 'Refused: lacks the scope'],
  ['foreign-resource', 'Refused: app out of reach'],
  ['csrf', 'Refused: not from a page of ours'],
];

/** @param {{ filters: Filters }} props */
export function AuditFilters({ filters }) {
  const [form, setForm] = useState(filters);
  const set = (/** @type {keyof Filters} */ name) => (/** @type {string} */ value) =>
    setForm({ ...form, [name]: value });
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    go(auditUrl(form));
  };
  const known = outcomes.some(([value]) => value === form.outcome);
  const word = (
    /** @type {'actor' | 'action' | 'target'} */ name,
    /** @type {string} */ label,
    /** @type {string} */ such,
  ) => html`
    <${Field} name=${name} label=${label} required value=${form[name]} onInput=${set(name)}
      attributes=${{ placeholder: such, 'aria-required': undefined }} />
  `;
  const time = (/** @type {'from' | 'to'} */ name, /** @type {string} */ label) => html`
    <${Field} name=${name} label=${label} required value=${localOf(form[name])}
      onInput=${(/** @type {string} */ local) => set(name)(timeOf(local))}
      attributes=${{ type: 'datetime-local', 'aria-required': undefined }} />
  `;
  return html`
    <form class="panel panel-body audit-filters" role="search" aria-label="Filter the record" onSubmit=${submit} novalidate>
      ${word('actor', 'Who', 'operator')} ${word('action', 'What', 'BuildRequested')} ${word('target', 'On what', 'apps/team-*')}
      <${Choice} label="Outcome" value=${form.outcome} onChoose=${set('outcome')}
        options=${known ? outcomes : [...outcomes, [form.outcome, form.outcome]]} />
      ${time('from', 'From')} ${time('to', 'Before')}
      <div class="actions">
        <button class="primary">Show</button>
        ${auditUrl(filters) !== '/access/audit' && html`<a class="button" href="/access/audit">Everything</a>`}
      </div>
    </form>
  `;
}
