/** Values of build secrets that nothing names any more, and those of apps that are archived. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, suite, test } from 'node:test';
import { buildInput } from '../../../domain/apps/build-input.ts';
import { openBuildSecrets } from '../../../platform/build-secrets.ts';
import { eraseUnnamedSecrets } from '../../../workers/apps/build-sweep.ts';
import { eventually, openWorkerBench, type WorkerBench } from '../../support/workers.ts';

const repoUrl = 'https://git.example/app.git';

suite('values of build secrets', () => {
  let bench: WorkerBench;
  before(async () => {
    bench = await openWorkerBench();
  });
  after(() => bench.close());

  const keep = async (appId: string, name: string) => {
    const key = randomUUID();
    await bench.deps.buildSecrets.keep(key, `value of ${key}`, { appId, name });
    return key;
  };
  const tell = (appId: string, name: string, key: string) =>
    bench.say(buildInput, appId, {
      type: 'SetBuildSecret',
      data: { appId, name, key, repoUrl, at: bench.clock.now() },
    });
  const isKept = async (key: string) => (await bench.deps.buildSecrets.read(key)) !== undefined;

  test('that were never told of, or replaced, are erased once they are old; what the log names is kept', async () => {
    const [untold, replaced, present, fresh] = [
      await keep('swept', 'a'),
      await keep('swept', 'b'),
      await keep('swept', 'b'),
      await keep('swept', 'c'),
    ];
    await tell('swept', 'b', replaced);
    await tell('swept', 'b', present);
    await eventually(async () => {
      const row = await bench.sql('apps_build_secrets').where({ app_id: 'swept', name: 'b' }).first('key');
      assert.equal(row?.key, present);
    });
    const age = (key: string) =>
      bench
        .sql('build_secret_values')
        .where({ key })
        .update({ kept_at: bench.sql.raw(`now() - interval '1 hour'`) });
    for (const key of [untold, replaced, present]) await age(key);
    // A table that is being filled anew names nothing: then the log is asked.
    await bench.sql('apps_build_secrets').where({ app_id: 'swept' }).delete();
    await eraseUnnamedSecrets(bench.deps);
    assert.deepEqual(await Promise.all([untold, replaced, present, fresh].map(isKept)), [
      false,
      false,
      true,
      true,
    ]);
    await eraseUnnamedSecrets(bench.deps, 0);
    assert.deepEqual(await Promise.all([present, fresh].map(isKept)), [true, false]);
  });

  test('of an app that is archived are erased, and told to be gone', async () => {
    const workers = await bench.start();
    await bench.register('leaving', repoUrl);
    const [a, b] = [await keep('leaving', 'a'), await keep('leaving', 'b')];
    await tell('leaving', 'a', a);
    await tell('leaving', 'b', b);
    await bench.archive('leaving');
    await eventually(async () => assert.deepEqual([await isKept(a), await isKept(b)], [false, false]));
    const removed = bench.events.filter(({ type }) => type === 'BuildSecretRemoved');
    assert.deepEqual(removed.map(({ data }) => (data as { name: string }).name).sort(), ['a', 'b']);
    await workers.close();
  });

  test('can be read with the key they were sealed with only, and under their own name', async () => {
    const key = await keep('sealed', 'a');
    assert.equal(await bench.deps.buildSecrets.read(key), `value of ${key}`);
    assert.equal(await openBuildSecrets(bench.sql, 'another secret').read(key), undefined);
    const other = await keep('sealed', 'b');
    const { sealed } = await bench.sql('build_secret_values').where({ key: other }).first('sealed');
    await bench.sql('build_secret_values').where({ key }).update({ sealed });
    assert.equal(
      await bench.deps.buildSecrets.read(key),
      undefined,
      'a value that was moved to another key opens',
    );
    await bench.deps.buildSecrets.keep(other, 'too late', { appId: 'sealed', name: 'b' });
    assert.equal(await bench.deps.buildSecrets.read(other), `value of ${other}`);
    const long = 'ü'.repeat(16 * 1024);
    const third = randomUUID();
    await bench.deps.buildSecrets.keep(third, long, { appId: 'sealed', name: 'c' });
    assert.equal(await bench.deps.buildSecrets.read(third), long);
  });
});
