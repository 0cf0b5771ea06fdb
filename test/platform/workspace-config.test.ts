import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { readWorkspaces } from '../../platform/workspace-config.ts';

const gib = 1024 ** 3;

suite('what the environment says about workspaces', () => {
  test('nothing: one gibibyte each, at most ten', () => {
    assert.deepEqual(readWorkspaces({}), {
      bytesDefault: gib,
      bytesMax: 10 * gib,
      perAppMax: 20,
      weighSeconds: 30,
    });
  });

  test('amounts with a unit, or in bytes', () => {
    const env = { APPHUB_WORKSPACE_BYTES: '512m', APPHUB_WORKSPACE_BYTES_MAX: '2T' };
    assert.deepEqual(
      [readWorkspaces(env).bytesDefault, readWorkspaces(env).bytesMax],
      [gib / 2, 2 * 1024 * gib],
    );
    assert.equal(readWorkspaces({ APPHUB_WORKSPACE_BYTES: '1048576' }).bytesDefault, 1024 ** 2);
  });

  test('where the most is less than the default, that is the default', () => {
    assert.equal(readWorkspaces({ APPHUB_WORKSPACE_BYTES_MAX: '100m' }).bytesDefault, 100 * 1024 ** 2);
  });

  test('what cannot be used says what would be right', () => {
    for (const [name, value, say] of [
      ['APPHUB_WORKSPACE_BYTES', '1', /from 1m/],
      ['APPHUB_WORKSPACE_BYTES', '11g', /from 1m to 10737418240 bytes/],
      ['APPHUB_WORKSPACE_BYTES', 'much', /such as 512m/],
      ['APPHUB_WORKSPACE_BYTES_MAX', '-1g', /such as 512m/],
      ['APPHUB_WORKSPACES_PER_APP_MAX', '0', /whole number from 1/],
      ['APPHUB_WORKSPACE_WEIGH_SECONDS', '1.5', /whole number from 1/],
    ] as const) {
      assert.throws(() => readWorkspaces({ [name]: value }), say);
      assert.throws(() => readWorkspaces({ [name]: value }), new RegExp(`^Error: ${name} is "`));
    }
  });
});
