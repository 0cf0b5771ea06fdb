import assert from 'node:assert/strict';
import { after, suite, test } from 'node:test';
import { quotas } from '../../../projections/apps/quota.ts';
import { recorded } from '../../support/recorded.ts';
import { openTables } from '../../support/tables.ts';

const at = '2026-01-10T00:00:00.000Z';
const until = '2026-02-01T00:00:00.000Z';
const of = { quotaId: 'q1', owner: 'ann', at } as const;

suite('the table of quotas', async () => {
  const tables = await openTables(quotas);
  after(() => tables.close());

  test('has those that are reached, each resource for itself, until they are freed', async () => {
    const reached = { ...of, used: 9, max: 8, from: '2026-01-01T00:00:00.000Z', until } as const;
    const events = [
      recorded({ type: 'QuotaReached', data: { ...reached, resource: 'cpuMs' } }, 1n),
      recorded({ type: 'QuotaReached', data: { ...reached, resource: 'memoryMbSeconds' } }, 2n),
      recorded({ type: 'QuotaFreed', data: { ...of, resource: 'cpuMs' } }, 3n),
    ];
    assert.deepEqual(await tables.rowsAfter(events), [
      { quota_id: 'q1', resource: 'memoryMbSeconds', owner: 'ann', used: 9, max: 8, until, reached_at: at },
    ]);
  });
});
