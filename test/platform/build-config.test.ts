/** The settings of builds: what is taken, and what is refused with what would be right. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { readBuilds } from '../../platform/build-config.ts';

suite('settings of builds', () => {
  test('without any there are limits, and no registry', () => {
    assert.deepEqual(readBuilds({}), {
      cpus: undefined,
      cpuShares: 128,
      memoryBytes: undefined,
      pidsMax: 4_096,
      timeMsMax: 1_800_000,
      contextBytesMax: 512 * 1024 * 1024,
      buildkit: 'auto',
      frontend: undefined,
      cgroupParent: 'docker',
      registry: undefined,
    });
  });

  test('each can be set', () => {
    const read = readBuilds({
      APPHUB_BUILD_CPUS: '1.5',
      APPHUB_BUILD_CPU_SHARES: '64',
      APPHUB_BUILD_MEMORY_MIB: '768',
      APPHUB_BUILD_PIDS: '100',
      APPHUB_BUILD_SECONDS: '60',
      APPHUB_BUILD_CONTEXT_MIB: '10',
      APPHUB_BUILDKIT: 'Capped',
      APPHUB_BUILD_FRONTEND: 'registry.example:5000/docker/dockerfile:1',
      APPHUB_ENGINE_CGROUP_PARENT: '/machine/docker',
      APPHUB_IMAGE_REGISTRY: 'registry.example.org:5000/team/previews',
      APPHUB_IMAGE_REGISTRY_USERNAME: 'ann',
      APPHUB_IMAGE_REGISTRY_PASSWORD: 'secret',
    });
    assert.deepEqual(read, {
      cpus: 1.5,
      cpuShares: 64,
      memoryBytes: 768 * 1024 * 1024,
      pidsMax: 100,
      timeMsMax: 60_000,
      contextBytesMax: 10 * 1024 * 1024,
      buildkit: 'capped',
      frontend: 'registry.example:5000/docker/dockerfile:1',
      cgroupParent: 'machine/docker',
      registry: {
        host: 'registry.example.org:5000',
        prefix: 'team/previews/',
        username: 'ann',
        password: 'secret',
      },
    });
    for (const [given, host, prefix] of [
      ['localhost', 'localhost', ''],
      ['127.0.0.1:5000', '127.0.0.1:5000', ''],
      ['[::1]:5000/a', '[::1]:5000', 'a/'],
      ['ghcr.io/team_one', 'ghcr.io', 'team_one/'],
    ]) {
      const { registry } = readBuilds({ APPHUB_IMAGE_REGISTRY: given });
      assert.deepEqual([registry?.host, registry?.prefix], [host, prefix]);
    }
  });

  test('what cannot be is refused by name, and no password is in the words', () => {
    for (const [name, value] of [
      ['APPHUB_BUILD_CPUS', '0'],
      ['APPHUB_BUILD_CPUS', 'two'],
      ['APPHUB_BUILD_CPU_SHARES', '1.5'],
      ['APPHUB_BUILD_MEMORY_MIB', '8'],
      ['APPHUB_BUILD_PIDS', '1'],
      ['APPHUB_BUILD_SECONDS', '-1'],
      ['APPHUB_BUILD_CONTEXT_MIB', '0'],
      ['APPHUB_BUILDKIT', 'on'],
      ['APPHUB_ENGINE_CGROUP_PARENT', '../docker'],
      ['APPHUB_ENGINE_CGROUP_PARENT', '/'],
      ['APPHUB_BUILD_FRONTEND', '-v'],
      ['APPHUB_BUILD_FRONTEND', 'a b'],
      ['APPHUB_IMAGE_REGISTRY', 'docker'],
      ['APPHUB_IMAGE_REGISTRY', 'https://registry.example'],
      ['APPHUB_IMAGE_REGISTRY', 'registry.example/UPPER'],
      ['APPHUB_IMAGE_REGISTRY', 'user:pass@registry.example'],
      ['APPHUB_IMAGE_REGISTRY', 'registry.example/../x'],
    ] as const) {
      assert.throws(() => readBuilds({ [name]: value }), new RegExp(name), `${name}=${value}`);
    }
    const alone = { APPHUB_IMAGE_REGISTRY: 'registry.example', APPHUB_IMAGE_REGISTRY_PASSWORD: 'hush-hush' };
    assert.throws(
      () => readBuilds(alone),
      (error: Error) => /go together/.test(error.message) && !error.message.includes('hush'),
    );
  });
});
