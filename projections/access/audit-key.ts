/** Every key that the tree over all events was ever signed with, and why it was taken for the one before. */
import type { AuditTreeEvent } from '../../domain/access/audit-tree.ts';
import type { Recorded } from '../../domain/events.ts';
import { type Op, type Projection, patch, put } from '../projection.ts';

const table = 'access_audit_keys';

type EventOfTree<T> = Recorded<Extract<AuditTreeEvent, { type: T }>>;
type KeyEvent = 'AuditTreeBegun' | 'AuditKeyRotated';

/** Name and id stand in front of a key: `name+id+base64`. */
const nameOf = (key: string) => key.split('+')[0] ?? '';
const idOf = (key: string) => key.split('+')[1] ?? '';

function taken(
  key: string,
  position: bigint,
  at: string,
  more: { statement: string | null; because: string | null },
): Op {
  const row = { key, key_id: idOf(key), origin: nameOf(key), since: at, until: null };
  return put(table, { ...row, position: position.toString(), ...more });
}

const on: { readonly [T in KeyEvent]: (event: EventOfTree<T>) => readonly Op[] } = {
  AuditTreeBegun: ({ position, data: { key, previousKey, because, at } }) => [
    ...(previousKey === null ? [] : [patch(table, { key: previousKey }, { until: at })]),
    taken(key, position, at, { statement: null, because }),
  ],
  AuditKeyRotated: ({ position, data: { from, to, statement, at } }) => [
    patch(table, { key: from }, { until: at }),
    taken(to, position, at, { statement, because: null }),
  ],
};

export const auditKeys: Projection = {
  name: table,
  version: 1,
  tables: { [table]: ['key'] },
  createTables: schema =>
    schema.createTable(table, t => {
      t.text('key').primary();
      t.text('key_id').notNullable();
      t.text('origin').notNullable();
      t.timestamp('since').notNullable();
      t.timestamp('until');
      /** The note by which the key before vouches for it; null for one that began a tree. */
      t.text('statement');
      t.text('because');
      t.bigInteger('position').notNullable();
    }),
  on,
};
