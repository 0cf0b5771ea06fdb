/** What can be said when an app is launched. */
import assert from 'node:assert/strict';
import { after, suite, test } from 'node:test';
import { readSandbox } from '../../../platform/sandbox-config.ts';
import { startApi } from '../../support/api.ts';

suite('what can be said of a launch', async () => {
  const { profiles } = readSandbox({ APPHUB_LAUNCH_PROFILES: '{"large": {"memory": "4g", "cpus": 3.5}}' });
  const api = await startApi({ reads: { launch: { profiles, idleSeconds: null } } });
  after(() => api.close());

  test('is what this installation says, not what others do', async () => {
    const { data } = await api.read('/launches/options');
    assert.deepEqual(data.profiles.at(-1), { name: 'large', memoryBytes: 4 * 1024 ** 3, cpus: 3.5 });
    assert.deepEqual(
      data.profiles.map(({ name }: { name: string }) => name),
      ['small', 'medium', 'large'],
    );
    assert.deepEqual(data.idleSeconds, { min: 10, max: 604_800, default: null });
    assert.deepEqual(data.ttlSeconds, { min: 10, max: 604_800, default: 3_600 });
  });
});
