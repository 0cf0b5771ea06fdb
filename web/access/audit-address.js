/** The filters of the record in the address, and back. All of it pure. */

const names = /** @type {const} */ (['actor', 'action', 'target', 'outcome', 'from', 'to']);

/** Each '' where it is not set; `from` and `to` are times in RFC 3339. @typedef {Record<typeof names[number], string>} Filters */

/** @param {URLSearchParams} query @returns {Filters} */
export function filtersOf(query) {
  const read = (/** @type {string} */ name) => query.get(name)?.trim() ?? '';
  return /** @type {Filters} */ (Object.fromEntries(names.map(name => [name, read(name)])));
}

/** @param {Filters} filters */
export function auditUrl(filters) {
  const query = new URLSearchParams();
  for (const name of names) if (filters[name] !== '') query.set(name, filters[name]);
  return query.size === 0 ? '/access/audit' : `/access/audit?${query}`;
}

/** What an `<input type="datetime-local">` shows of a time. @param {string} time */
export function localOf(time) {
  const ms = Date.parse(time);
  if (Number.isNaN(ms)) return '';
  const offsetMs = new Date(ms).getTimezoneOffset() * 60_000;
  return new Date(ms - offsetMs).toISOString().slice(0, 16);
}

/** @param {string} local what such an input holds */
export const timeOf = local => (local === '' ? '' : new Date(local).toISOString());
