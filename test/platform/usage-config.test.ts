/** The settings of accounting and quotas: what is taken, and what is refused with what would be right. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { readUsage } from '../../platform/usage-config.ts';

suite('settings of what launches may use', () => {
  test('without any everything is counted and nothing is limited', () => {
    assert.deepEqual(readUsage({}), { eventSeconds: 300, period: 'month', perOwner: {}, inAll: {} });
  });

  test('each can be set, in seconds on a core and megabyte-hours', () => {
    const read = readUsage({
      APPHUB_USAGE_EVENT_SECONDS: '60',
      APPHUB_QUOTA_PERIOD: ' day ',
      APPHUB_QUOTA_CPU_SECONDS: '1000',
      APPHUB_QUOTA_MEMORY_MB_HOURS: '0',
      APPHUB_QUOTA_CPU_SECONDS_PER_OWNER: '10',
      APPHUB_QUOTA_MEMORY_MB_HOURS_PER_OWNER: '2',
    });
    assert.deepEqual(read, {
      eventSeconds: 60,
      period: 'day',
      perOwner: { cpuMs: 10_000, memoryMbSeconds: 7_200 },
      inAll: { cpuMs: 1_000_000 },
    });
  });

  test('what cannot be is refused with what would be right', () => {
    for (const [name, value] of [
      ['APPHUB_USAGE_EVENT_SECONDS', '0'],
      ['APPHUB_QUOTA_CPU_SECONDS', '-1'],
      ['APPHUB_QUOTA_MEMORY_MB_HOURS_PER_OWNER', '1.5'],
    ] as const)
      assert.throws(
        () => readUsage({ [name]: value }),
        new RegExp(`${name} is "${value}"; it must be a whole`),
      );
    assert.throws(() => readUsage({ APPHUB_QUOTA_PERIOD: 'week' }), /is "week"; it must be day or month/);
  });
});
