/** What one build may use: by the settings, or by what leaves room for launches and the API. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { readBuilds } from '../../../platform/build-config.ts';
import { limitsOn } from '../../../workers/apps/build-attempt.ts';

const gib = 1024 ** 3;

suite('limits of builds', () => {
  const of = (machine: { cpus: number; memoryBytes: number }, buildsAtOnce = 1, env = {}) => {
    const { cpus, memoryBytes } = limitsOn(machine, { builds: readBuilds(env), buildsAtOnce });
    return [cpus, memoryBytes / gib];
  };

  test('leave a quarter of the cores and half of the memory to others, all builds together', () => {
    assert.deepEqual(of({ cpus: 2, memoryBytes: 16 * gib }), [1.5, 2]);
    assert.deepEqual(of({ cpus: 2, memoryBytes: 2 * gib }), [1.5, 1]);
    assert.deepEqual(of({ cpus: 8, memoryBytes: 16 * gib }, 4), [1.5, 2]);
    assert.deepEqual(of({ cpus: 1, memoryBytes: 4 * gib }, 2), [0.375, 1]);
    assert.deepEqual(of({ cpus: 1, memoryBytes: 64 * gib }, 64), [0.1, 0.5]);
  });

  test('are those of the settings where they are set', () => {
    const env = { APPHUB_BUILD_CPUS: '3', APPHUB_BUILD_MEMORY_MIB: '4096' };
    assert.deepEqual(of({ cpus: 2, memoryBytes: gib }, 4, env), [3, 4]);
    const { timeMsMax, contextBytesMax, cpuShares, pidsMax } = limitsOn(
      { cpus: 1, memoryBytes: gib },
      { builds: readBuilds({ APPHUB_BUILD_SECONDS: '5' }), buildsAtOnce: 1 },
    );
    assert.deepEqual([timeMsMax, contextBytesMax, cpuShares, pidsMax], [5_000, gib / 2, 128, 4_096]);
  });
});
