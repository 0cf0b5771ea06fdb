import assert from 'node:assert/strict';
import { after, suite, test } from 'node:test';
import type { EventType, Recorded } from '../../../domain/events.ts';
import { audit } from '../../../projections/access/audit.ts';
import { asked, recorded, recordedAt, sampleEvents, samples } from '../../support/recorded.ts';
import { openTables } from '../../support/tables.ts';

const request = { ip: '192.0.2.7', userAgent: 'curl/8', route: 'POST /apps' };
const types = Object.keys(sampleEvents) as EventType[];

/** Nobody asks for them over HTTP, or others tell of them. */
const unasked = new RegExp(
  `^(${[
    ...['AttemptsRefused', 'OrphanRemoved', 'ProviderSession', 'LaunchUsed', 'Quota'],
    ...['DeadLetter(Found|Resolved)', 'Projection(Diverged|Repaired|FellBehind|CaughtUp)'],
  ].join('|')})`,
);

/** What each type of event concerns. */
function targetOf(type: EventType): string {
  if (/^Build(Args|Secret)/.test(type)) return 'apps/todo';
  if (type.startsWith('Build')) return 'builds/b1';
  if (type.startsWith('Launch')) return 'launches/l1';
  if (type.startsWith('HostName')) return 'hosts/shop.example.org';
  if (/^(Projection|DeadLetter)/.test(type)) return 'projections/apps_builds';
  if (type.startsWith('Workspace')) return 'workspaces/w1';
  if (type.startsWith('ApiKey')) return 'api-keys/k1';
  if (type.startsWith('Audit')) return 'audit-tree';
  return type.startsWith('Session') ? 'sessions/s1' : 'apps/todo';
}

suite('the audit table', async () => {
  const tables = await openTables(audit);
  after(() => tables.close());

  test('has a row for every type of event that somebody asked for', async () => {
    const events = samples(...types).map(event => asked(event, request));
    const rows = await tables.rowsAfter(events.filter(({ type }) => type !== 'AttemptsRefused'));
    // Of sessions at a provider the sessions here tell.
    const wanted = types.filter(type => !unasked.test(type));
    assert.ok(rows.length >= 30);
    assert.deepEqual(
      rows,
      wanted.map(type => ({
        position: types.indexOf(type) + 1,
        at: recordedAt,
        since: recordedAt,
        actor: 'operator:ann',
        action: type,
        target: targetOf(type),
        app_id: /^(ApiKey|Audit|DeadLetter|Projection|Session)/.test(type) ? null : 'todo',
        outcome: 'succeeded',
        status: null,
        route: 'POST /apps',
        ip: '192.0.2.7',
        user_agent: 'curl/8',
        correlation_id: 'r1',
        count: 1,
      })),
    );
  });

  test('has none for what the platform did by itself', async () => {
    assert.deepEqual(
      await tables.rowsAfter(samples(...types.filter(type => type !== 'AttemptsRefused'))),
      [],
    );
  });

  test('has a row for refused attempts, with who tried and how often', async () => {
    const refused = {
      position: 1,
      at: '2026-01-01T00:00:30.000Z',
      since: '2026-01-01T00:00:29.000Z',
      actor: 'anonymous',
      action: 'POST /apps',
      target: null,
      app_id: null,
      outcome: 'unauthorized',
      status: 401,
      route: 'POST /apps',
      ip: '192.0.2.1',
      user_agent: 'curl/8',
      correlation_id: 'r9',
      count: 3,
    };
    assert.deepEqual(await tables.rowsAfter(samples('AttemptsRefused')), [refused]);
    const attempt = (target: string): Recorded =>
      recorded({ type: 'AttemptsRefused', data: { ...sampleEvents.AttemptsRefused, target } }, 1n);
    assert.deepEqual(await tables.rowsAfter([attempt('apps/shop')]), [
      { ...refused, target: 'apps/shop', app_id: 'shop' },
    ]);
    assert.deepEqual(await tables.rowsAfter([attempt('builds/b1')]), [{ ...refused, target: 'builds/b1' }]);
  });
});
