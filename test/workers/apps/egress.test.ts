/** What apps were refused reaches their owners, by number. */
import assert from 'node:assert/strict';
import { after, suite, test } from 'node:test';
import { countDenials } from '../../../workers/apps/egress.ts';
import type { Denial } from '../../../workers/egress/denials.ts';
import { startApi } from '../../support/api.ts';
import { launchableApp } from '../../support/play.ts';

suite('what apps were refused on their way out', async () => {
  const api = await startApi();
  after(() => api.close());
  const refuse = (...denials: Denial[]) =>
    countDenials({
      sql: api.sql,
      egress: { takeDenials: () => denials } as never,
    });

  test('is added up for their owners, and of many hosts the rest is one', async () => {
    await launchableApp(api, 'talker');
    await api.write('PUT', '/apps/talker/sandbox', {
      egress: ['*.example.org'],
      allowRoot: false,
      runtime: 'default',
    });
    const { id: launchId } = await api.write('POST', '/apps/talker/launches', {});
    const url = `/launches/${launchId}/egress`;
    assert.deepEqual((await api.read(url)).data, { hosts: ['*.example.org'], denied: [] });

    const tried = { launchId, host: 'evil.org', port: 443, reason: 'not-allowed', count: 2 } as const;
    await refuse(tried, { ...tried, reason: 'private-address', count: 1 });
    await refuse({ ...tried, count: 3 }, { ...tried, launchId: 'another' });
    const { denied } = (await api.read(url)).data;
    assert.deepEqual(
      denied.map(({ host, port, reason, count }: Denial) => [host, port, reason, count]).toSorted(),
      [
        ['evil.org', 443, 'not-allowed', 5],
        ['evil.org', 443, 'private-address', 1],
      ],
    );
    assert.ok(denied.every(({ firstAt, lastAt }: { firstAt: string; lastAt: string }) => firstAt <= lastAt));

    await refuse(...Array.from({ length: 150 }, (_, n) => ({ ...tried, host: `${n}.org`, count: 1 })));
    const many = (await api.read(url)).data.denied as Denial[];
    assert.equal(many.length, 101);
    assert.equal(many.find(({ host }) => host === '…')?.count, 52);
  });
});
