/** What builds are given, by the command line, asked of the real API. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, suite, test } from 'node:test';
import { operatorToken, startApi } from '../support/api.ts';
import { finishBuild, ingest, startBuild } from '../support/play.ts';
import { runCli } from '../support/run-cli.ts';

suite('apphub secrets, and builds args and provenance', async () => {
  const api = await startApi();
  const folder = await mkdtemp(path.join(os.tmpdir(), 'apphub-test-secrets-'));
  after(async () => {
    await api.close();
    await rm(folder, { recursive: true, force: true });
  });
  const run = async (...args: string[]) => {
    const { position } = (await api.sql('projection_checkpoints').max('position as position').first()) ?? {};
    if (position != null) api.wrote(BigInt(position));
    return runCli(args, { APPHUB_URL: api.url, APPHUB_TOKEN: operatorToken });
  };
  await api.write('POST', '/apps', { id: 'shop', name: 'Shop', repoUrl: 'https://git.example/shop.git' });
  await ingest(api, 'shop');

  test('a secret comes from a file, is listed by name, and goes', async () => {
    const value = `token-${randomUUID()}`;
    const file = path.join(folder, 'token');
    await writeFile(file, `${value}\n`);
    assert.match((await run('secrets', 'list', 'shop')).stderr, /has no build secrets/);
    const set = await run('secrets', 'set', 'shop', 'npm-token', '--file', file);
    assert.deepEqual([set.code, set.stdout], [0, 'Set build secret npm-token of shop.\n'], set.stderr);
    await api.read('/apps/shop/build-secrets');
    const list = await run('secrets', 'list', 'shop');
    assert.match(list.stdout, /npm-token +1 .*operator +yes/);
    const [row] = await api.sql('build_secret_values');
    assert.equal(await api.buildSecrets.read(row.key), value);
    const all = [set, list, await run('secrets', 'list', 'shop', '--json')];
    for (const { stdout, stderr } of all) assert.ok(!`${stdout}${stderr}`.includes(value));
    assert.equal((await run('secrets', 'remove', 'shop', 'npm-token')).code, 0);
    assert.equal((await api.sql('build_secret_values')).length, 0);
    assert.equal((await run('secrets', 'remove', 'shop', 'never')).code, 5);
  });

  test('arguments are set, shown and cleared', async () => {
    const set = await run('builds', 'args', 'shop', 'A=1', 'B=x=y', 'C=');
    assert.equal(set.code, 0, set.stderr);
    assert.deepEqual((await api.read('/apps/shop/build-args')).data.args, { A: '1', B: 'x=y', C: '' });
    assert.equal((await run('builds', 'args', 'shop')).stdout, 'A=1\nB=x=y\nC=\n');
    assert.equal((await run('builds', 'args', 'shop', '--clear')).code, 0);
    assert.deepEqual((await api.read('/apps/shop/build-args')).data.args, {});
    assert.equal((await run('builds', 'args', 'shop', 'nothing')).code, 2);
    assert.equal((await run('builds', 'args', 'shop', '--clear', 'A=1')).code, 2);
    assert.equal((await run('builds', 'start', 'shop', '--arg', 'A=2')).code, 0);
    const [build] = (await api.read('/apps/shop/builds')).data;
    assert.deepEqual(build.args, { A: '2' });
  });

  test('provenance is printed as it is; without one that is said', async () => {
    const { id } = await api.write('POST', '/apps/shop/builds', { args: { A: '1' } });
    await api.read(`/builds/${id}`);
    const none = await run('builds', 'provenance', id);
    assert.match(none.stderr, /not kept what this build was made of/);
    await startBuild(api, id);
    await finishBuild(api, id, {
      image: 'apphub/shop:1',
      imageId: `sha256:${'1'.repeat(64)}`,
      bytes: 5,
      ports: [],
      provenance: {
        dockerfile: { path: 'Dockerfile', sha256: '2'.repeat(64) },
        context: '',
        bases: [{ ref: 'node:24', imageId: 'sha256:3', digest: `sha256:${'4'.repeat(64)}` }],
        builder: { kind: 'buildkit', engine: '28.0.1', platform: 'linux/amd64' },
        secrets: [{ name: 'npm-token', version: 2 }],
      },
      pushed: { repository: 'registry.example/shop', digest: `sha256:${'5'.repeat(64)}` },
    });
    await api.read(`/builds/${id}`);
    const { stdout, stderr } = await run('builds', 'provenance', id);
    const { subject, predicate, ...head } = JSON.parse(stdout || stderr);
    assert.deepEqual(head, {
      _type: 'https://in-toto.io/Statement/v1',
      predicateType: 'https://slsa.dev/provenance/v1',
    });
    assert.deepEqual(subject, [
      { name: 'apphub/shop:1', digest: { sha256: '1'.repeat(64) } },
      { name: 'registry.example/shop', digest: { sha256: '5'.repeat(64) } },
    ]);
    const { externalParameters, internalParameters, resolvedDependencies } = predicate.buildDefinition;
    assert.deepEqual(externalParameters.buildArgs, { A: '1' });
    assert.deepEqual(internalParameters.secrets, [{ name: 'npm-token', version: 2 }]);
    const gitCommit = externalParameters.commit;
    assert.deepEqual(resolvedDependencies, [
      { uri: `git+https://git.example/shop.git@${gitCommit}`, digest: { gitCommit } },
      { name: 'Dockerfile', digest: { sha256: '2'.repeat(64) } },
      {
        uri: 'docker-image:node:24',
        digest: { sha256: '4'.repeat(64) },
        annotations: { imageId: 'sha256:3' },
      },
    ]);
    assert.equal(predicate.runDetails.metadata.invocationId, id);
    const answer = await api.ask('GET', `/builds/${id}/provenance`);
    assert.match(answer.headers.get('content-type') ?? '', /^application\/vnd\.in-toto\+json/);
    const shown = await run('builds', 'show', id);
    assert.match(shown.stdout, /Builder +buildkit/);
    assert.match(shown.stdout, /Registry +registry\.example\/shop@sha256:5{64}/);
  });
});
