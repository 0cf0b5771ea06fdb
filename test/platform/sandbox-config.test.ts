import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { ConfigError, readConfig } from '../../platform/config.ts';
import { readSandbox } from '../../platform/sandbox-config.ts';

const mib = 1024 * 1024;

suite('how launches are confined', () => {
  test('needs no settings', () => {
    const { profiles, ...rest } = readSandbox({});
    assert.deepEqual(rest, {
      subnets: '10.213.0.0/16',
      hostGuard: true,
      egressPort: 4_128,
      publish: undefined,
    });
    assert.deepEqual(profiles, {
      small: { memoryBytes: 256 * mib, cpus: 0.5, pidsMax: 128, tmpfsBytes: 64 * mib },
      medium: { memoryBytes: 512 * mib, cpus: 1, pidsMax: 256, tmpfsBytes: 128 * mib },
      large: { memoryBytes: 1024 * mib, cpus: 2, pidsMax: 512, tmpfsBytes: 256 * mib },
    });
  });

  test('takes what is given, and leaves the rest as it is', () => {
    const { profiles, ...rest } = readSandbox({
      APPHUB_LAUNCH_PROFILES:
        '{"large": {"memory": "4g", "cpus": 3.5}, "small": {"memory": "32m", "pids": 16}}',
      APPHUB_LAUNCH_SUBNETS: '172.20.0.0/16',
      APPHUB_HOST_GUARD: 'off',
      APPHUB_EGRESS_PORT: '5000',
      APPHUB_LAUNCH_PUBLISH: '10.0.0.5',
    });
    assert.deepEqual(rest, {
      subnets: '172.20.0.0/16',
      hostGuard: false,
      egressPort: 5_000,
      publish: '10.0.0.5',
    });
    assert.deepEqual(profiles.large, {
      memoryBytes: 4096 * mib,
      cpus: 3.5,
      pidsMax: 512,
      tmpfsBytes: 256 * mib,
    });
    // What is in a folder counts as memory: it cannot be more than that.
    assert.deepEqual(profiles.small, {
      memoryBytes: 32 * mib,
      cpus: 0.5,
      pidsMax: 16,
      tmpfsBytes: 32 * mib,
    });
    assert.equal(profiles.medium.memoryBytes, 512 * mib);
  });

  const wrong: [string, string, RegExp][] = [
    ['APPHUB_LAUNCH_PROFILES', 'small', /must be JSON such as/],
    ['APPHUB_LAUNCH_PROFILES', '[]', /must be JSON such as/],
    ['APPHUB_LAUNCH_PROFILES', '{"huge": {}}', /"huge" is none of small, medium, large/],
    ['APPHUB_LAUNCH_PROFILES', '{"small": 1}', /small must be an object/],
    ['APPHUB_LAUNCH_PROFILES', '{"small": {"disk": 1}}', /small\.disk is none of memory, cpus, pids, tmpfs/],
    ['APPHUB_LAUNCH_PROFILES', '{"small": {"memory": "1m"}}', /small\.memory must be a size from 16m/],
    ['APPHUB_LAUNCH_PROFILES', '{"small": {"memory": "lots"}}', /small\.memory must be a size/],
    ['APPHUB_LAUNCH_PROFILES', '{"small": {"cpus": 0}}', /small\.cpus must be a number from 0.05/],
    ['APPHUB_LAUNCH_PROFILES', '{"small": {"cpus": "2"}}', /small\.cpus must be a number/],
    ['APPHUB_LAUNCH_PROFILES', '{"small": {"pids": 1.5}}', /small\.pids must be a whole number from 8/],
    [
      'APPHUB_LAUNCH_PROFILES',
      '{"small": {"tmpfs": "1g"}}',
      /small\.tmpfs must be a size from 1m to its memory/,
    ],
    ['APPHUB_LAUNCH_SUBNETS', '10.213.0.0', /must be a private range from \/8 to \/26/],
    ['APPHUB_LAUNCH_SUBNETS', '10.213.0.1/16', /must be a private range/],
    ['APPHUB_LAUNCH_SUBNETS', '8.8.0.0/16', /must be a private range/],
    ['APPHUB_LAUNCH_SUBNETS', '172.0.0.0/8', /must be a private range/],
    ['APPHUB_LAUNCH_SUBNETS', '192.168.0.0/15', /must be a private range/],
    ['APPHUB_LAUNCH_SUBNETS', 'fd00::/16', /must be a private range/],
    ['APPHUB_LAUNCH_SUBNETS', '10.0.0.0/27', /must be a private range/],
    ['APPHUB_HOST_GUARD', 'false', /must be on or off/],
    ['APPHUB_EGRESS_PORT', '80', /must be a whole number from 1024/],
    ['APPHUB_LAUNCH_PUBLISH', 'example.org', /must be an address such as/],
  ];
  for (const [name, value, says] of wrong) {
    test(`${name}=${value} is refused in words`, () => {
      assert.throws(
        () => readConfig({ [name]: value }),
        error => error instanceof ConfigError && says.test(error.message) && error.message.startsWith(name),
      );
    });
  }
});
