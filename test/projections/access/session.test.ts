import assert from 'node:assert/strict';
import { after, suite, test } from 'node:test';
import { sessions } from '../../../projections/access/session.ts';
import { asked, samples } from '../../support/recorded.ts';
import { openTables } from '../../support/tables.ts';

const opened = {
  session_id: 's1',
  subject: 'oidc:ann',
  name: 'Ann',
  how: 'oidc',
  opened_at: '2026-01-01T00:00:28.000Z',
  expires_at: '2026-01-02T00:00:00.000Z',
  idle_seconds: 3_600,
  ended_at: null,
  end_reason: null,
  ip: null,
  user_agent: null,
};

suite('sessions in the table', async () => {
  const tables = await openTables(sessions);
  after(() => tables.close());

  test('opened, from where it is known, and ended', async () => {
    assert.deepEqual(await tables.rowsAfter(samples('SessionOpened')), [opened]);
    const there = { ip: '192.0.2.7', userAgent: 'Firefox', route: 'POST /auth/sessions' };
    const events = samples('SessionOpened', 'SessionEnded').map(event => asked(event, there));
    assert.deepEqual(await tables.rowsAfter(events), [
      {
        ...opened,
        ip: '192.0.2.7',
        user_agent: 'Firefox',
        ended_at: '2026-01-01T00:00:29.000Z',
        end_reason: 'signed-out',
      },
    ]);
  });
});
