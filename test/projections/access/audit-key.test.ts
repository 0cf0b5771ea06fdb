import assert from 'node:assert/strict';
import { after, suite, test } from 'node:test';
import type { EventType } from '../../../domain/events.ts';
import { auditKeys } from '../../../projections/access/audit-key.ts';
import { samples } from '../../support/recorded.ts';
import { openTables } from '../../support/tables.ts';

const first = {
  key: 'apphub.example/audit+00000001+AQ==',
  key_id: '00000001',
  origin: 'apphub.example/audit',
  since: '2026-01-01T00:00:31.000Z',
  until: null,
  statement: null,
  because: null,
  position: 1,
};
const second = {
  ...first,
  key: 'apphub.example/audit+00000002+Ag==',
  key_id: '00000002',
  since: '2026-01-01T00:00:33.000Z',
  statement: 'a note that both have signed',
  position: 2,
};

suite('keys of the tree in the table', async () => {
  const tables = await openTables(auditKeys);
  after(() => tables.close());
  const rowsOf = (...types: readonly EventType[]) => tables.rowsAfter(samples(...types));

  test('the first, and those that came after it', async () => {
    assert.deepEqual(await rowsOf('AuditTreeBegun'), [first]);
    const rows = [{ ...first, until: '2026-01-01T00:00:33.000Z' }, second];
    assert.deepEqual(await rowsOf('AuditTreeBegun', 'AuditKeyRotated'), rows);
  });

  test('one that nobody vouches for, with the reason', async () => {
    const [begun, rotated] = samples('AuditTreeBegun', 'AuditKeyRotated');
    const again = {
      ...begun,
      position: 3n,
      data: {
        ...begun?.data,
        at: '2026-01-01T00:00:40.000Z',
        key: 'apphub.example/audit/2+00000003+Aw==',
        previousKey: second.key,
        because: 'restored',
      },
    };
    const rows = await tables.rowsAfter([begun, rotated, again] as never);
    assert.deepEqual(rows[1], { ...second, until: '2026-01-01T00:00:40.000Z' });
    const { origin, because, statement, position } = rows[2] as typeof first;
    assert.deepEqual([origin, because, statement, position], ['apphub.example/audit/2', 'restored', null, 3]);
  });
});
