/** A projection for tests of what cannot be applied: faults are planted by event, and taken away again. */
import type { Recorded } from '../../domain/events.ts';
import { add, drop, type Projection, patch, put } from '../../projections/projection.ts';

export const triedName = 'tried';

/** What is wrong with an event: nothing, its handler throws, or the database refuses its row. */
export type Fault = 'none' | 'throws' | 'refused';
type Faults = { of(event: Recorded): Fault };

/**
 * Rows of their own for each stream, a sum that all share, and a row that says who was last: that one depends on the order in
 * which streams come.
 */
export function tried(faults: Faults, more: { shares?: boolean; version?: number } = {}): Projection {
  const { shares = false, version = 1 } = more;
  return {
    name: triedName,
    version,
    tables: { [triedName]: ['id'], [`${triedName}_total`]: ['id'], [`${triedName}_last`]: ['id'] },
    createTables: schema =>
      schema
        .createTable(triedName, t => {
          t.text('id').primary();
          t.text('trail').notNullable().defaultTo('');
          t.integer('n').notNullable().defaultTo(0);
        })
        .createTable(`${triedName}_total`, t => {
          t.text('id').primary();
          t.integer('n').notNullable().defaultTo(0);
        })
        .createTable(`${triedName}_last`, t => {
          t.text('id').primary();
          t.text('name');
        }),
    on: {
      RepositoryChanged: event => {
        const { appId, changes } = event.data;
        const fault = faults.of(event as Recorded);
        if (fault === 'throws') throw new TypeError(`cannot read ${changes.name}`);
        return [
          put(triedName, { id: appId, trail: fault === 'refused' ? null : (changes.name ?? '') }),
          add(triedName, { id: appId }, { n: 1 }),
          add(`${triedName}_total`, { id: 'all' }, { n: 1 }),
          ...(shares ? [put(`${triedName}_last`, { id: 'all', name: changes.name ?? null })] : []),
        ];
      },
      RepositoryArchived: ({ data }) => [patch(triedName, { id: data.appId }, { trail: 'archived' })],
      RepositoryUntagged: ({ data }) => [drop(triedName, { id: data.appId })],
    },
  };
}
