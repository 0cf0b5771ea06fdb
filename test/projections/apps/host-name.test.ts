import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { hostNames } from '../../../projections/apps/host-name.ts';
import { opsOf } from '../../../projections/projection.ts';
import { recorded } from '../../support/recorded.ts';

const table = 'apps_host_names';
const of = { host: 'shop.example.org', appId: 'shop', at: '2026-01-01T00:00:00.000Z' };

suite('the table of host names', () => {
  test('has a name while it is claimed, and what it shows', () => {
    const claimed = recorded({ type: 'HostNameClaimed', data: { ...of, launchId: null } }, 1n);
    assert.deepEqual(opsOf(hostNames, claimed), [
      { op: 'put', table, row: { host: of.host, app_id: 'shop', launch_id: null, claimed_at: of.at } },
    ]);
    const aimed = recorded({ type: 'HostNameAimed', data: { ...of, launchId: 'l1' } }, 2n);
    assert.deepEqual(opsOf(hostNames, aimed), [
      { op: 'patch', table, key: { host: of.host }, set: { launch_id: 'l1' } },
    ]);
    const released = recorded({ type: 'HostNameReleased', data: of }, 3n);
    assert.deepEqual(opsOf(hostNames, released), [{ op: 'drop', table, key: { host: of.host } }]);
  });
});
