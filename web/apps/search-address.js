/** The search as the address holds it: q, tags, status, owner, sort. */
import { go, place } from '../lib/router.js';

/** @typedef {{ q: string, tags: string[], status: string[], owner: string, sort: string }} Search */

/** @param {URLSearchParams} query @returns {Search} */
export function searchOf(query) {
  const list = (/** @type {string} */ name) =>
    query
      .getAll(name)
      .flatMap(text => (name === 'status' ? text.split(',') : [text]))
      .filter(text => text !== '');
  return {
    q: query.get('q') ?? '',
    tags: list('tags'),
    status: list('status'),
    owner: query.get('owner') ?? '',
    sort: query.get('sort') ?? '',
  };
}

/** The query string of a search; '' for one that asks for everything. @param {Search} search */
export function queryOf({ q, tags, status, owner, sort }) {
  const query = new URLSearchParams();
  if (q.trim() !== '') query.set('q', q);
  for (const tag of tags) query.append('tags', tag);
  if (status.length > 0) query.set('status', status.join(','));
  if (owner !== '') query.set('owner', owner);
  if (sort !== '') query.set('sort', sort);
  const text = query.toString();
  return text === '' ? '' : `?${text}`;
}

export const presentSearch = () =>
  searchOf(place.get().path === '/' ? place.get().query : new URLSearchParams());

/**
 * Goes to the present search with some of it changed.
 * @param {Partial<Search>} changes
 * @param {{ replace?: boolean }} [options]
 */
export const searchFor = (changes, options) => go(`/${queryOf({ ...presentSearch(), ...changes })}`, options);
