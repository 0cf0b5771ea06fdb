import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, suite, test } from 'node:test';
import { tagValueCharsMax } from '../../../../domain/kernel/limits.ts';
import { cloneRepository } from '../../../../workers/adapters/git.ts';
import { inspectCheckout, tagsFoundMax } from '../../../../workers/apps/inspect/inspect.ts';
import { withFolder } from '../../../support/checkout-folder.ts';
import { type GitServer, startGitServer } from '../../../support/git-server.ts';
import { makeSampleRepos, pixelPng, type SampleRepos } from '../../../support/sample-repos.ts';

const root = mkdtempSync(path.join(os.tmpdir(), 'apphub-inspect-'));
let server: GitServer;
let samples: SampleRepos;

before(async () => {
  samples = makeSampleRepos(root);
  server = await startGitServer({ root });
});
after(async () => {
  await server.close();
  rmSync(root, { recursive: true, force: true });
});

async function inspectSample(name: keyof SampleRepos) {
  const directory = path.join(root, 'checkout', name);
  const url = `${server.url}/${samples[name].name}.git`;
  const { commit } = await cloneRepository({ url, into: directory, allowLocal: false });
  assert.equal(commit, samples[name].commit);
  return inspectCheckout({ directory });
}

suite('inspecting the sample repositories, cloned over HTTP', () => {
  test('a Node app', async () => {
    const { inspection, pictures, warnings } = await inspectSample('node');
    const { tags, previews, ...rest } = inspection;
    assert.deepEqual(rest, {
      dockerfilePath: 'Dockerfile',
      title: 'Counter',
      description: 'A small app that counts and says hello.',
      homepage: 'https://counter.example.org/',
      ports: [3000],
      healthcheck: false,
    });
    assert.deepEqual(
      tags.map(({ key, value, source }) => `${key}:${value} ${source}`),
      [
        'team:alpha auto:tags-file',
        'kind:demo auto:tags-file',
        'kind:web auto:tags-file',
        'language:javascript auto:package',
        'framework:express auto:package',
        'runtime:node@>=20 auto:package',
        'runtime:node auto:dockerfile',
        'runtime:node1 auto:dockerfile',
        'base-image:apphub-test/node:1 auto:dockerfile',
      ],
    );
    assert.deepEqual(
      previews.map(({ kind, title, bytes }) => ({ kind, title, bytes })),
      [{ kind: 'image', title: 'The app', bytes: pixelPng.length }],
    );
    assert.deepEqual(
      pictures.map(({ content }) => content.equals(pixelPng)),
      [true],
    );
    assert.deepEqual(warnings, []);
    assert.deepEqual(JSON.parse(JSON.stringify(inspection)), inspection, 'fit for the log');
  });

  test('a static site, a nested Dockerfile and one whose image cannot be built', async () => {
    const found = async (name: keyof SampleRepos) => {
      const { title, dockerfilePath, ports } = (await inspectSample(name)).inspection;
      return { title, dockerfilePath, ports };
    };
    assert.deepEqual(await found('static'), {
      title: 'Static site',
      dockerfilePath: 'Dockerfile',
      ports: [8080],
    });
    const nested = { title: 'Nested', dockerfilePath: 'services/web/Dockerfile', ports: [8080] };
    assert.deepEqual(await found('nested'), nested);
    assert.deepEqual(await found('failing'), { title: 'Failing', dockerfilePath: 'Dockerfile', ports: [] });
  });

  test('one without a Dockerfile says what to add', async () => {
    await assert.rejects(inspectSample('none'), {
      code: 'no-dockerfile',
      message: /Add a file named "Dockerfile"/,
    });
  });
});

suite('inspecting a folder', () => {
  const inspect = (
    files: Record<string, string>,
    more: { dockerfilePath?: string | null; signal?: AbortSignal } = {},
  ) => withFolder(files, directory => inspectCheckout({ directory, ...more }));

  test('the package names the app when there is no README, unless the name has a scope', async () => {
    const named = await inspect({
      Dockerfile: 'FROM a',
      'package.json': '{"name":"shop","description":"Sells"}',
    });
    assert.deepEqual([named.inspection.title, named.inspection.description], ['shop', 'Sells']);
    const scoped = await inspect({ Dockerfile: 'FROM a', 'package.json': '{"name":"@us/shop"}' });
    assert.equal(scoped.inspection.title, null);
  });

  test('a manifest of TypeScript goes before a base image of JavaScript', async () => {
    const { inspection } = await inspect({
      Dockerfile: 'FROM node:24',
      'package.json': '{"devDependencies":{"typescript":"7"}}',
    });
    const languages = inspection.tags.filter(({ key }) => key === 'language');
    assert.deepEqual(languages, [{ key: 'language', value: 'typescript', source: 'auto:package' }]);
  });

  test('the declared Dockerfile decides, null means to look for one', async () => {
    const files = {
      Dockerfile: 'FROM a',
      'web/Dockerfile': 'FROM b\nHEALTHCHECK CMD x',
      'web/README.md': '# Web',
    };
    const declared = (await inspect(files, { dockerfilePath: 'web/Dockerfile' })).inspection;
    assert.deepEqual([declared.title, declared.healthcheck], ['Web', true]);
    assert.equal((await inspect(files, { dockerfilePath: null })).inspection.dockerfilePath, 'Dockerfile');
  });

  test('tags are within the limits of the log, and each is there once', async () => {
    const { inspection } = await inspect({
      Dockerfile: 'FROM python:3\nRUN flask run',
      'requirements.txt': 'flask',
      'tags.yaml': `framework: flask\nn: [${Array.from({ length: 200 }, (_, n) => n)}]`,
    });
    assert.ok(inspection.tags.length <= tagsFoundMax);
    assert.ok(inspection.tags.every(({ value }) => value.length <= tagValueCharsMax));
    const flask = inspection.tags.filter(({ value }) => value === 'flask');
    assert.deepEqual(flask, [{ key: 'framework', value: 'flask', source: 'auto:tags-file' }]);
  });

  test('ends when it is cancelled', async () => {
    const signal = AbortSignal.abort();
    await assert.rejects(inspect({ Dockerfile: 'FROM a' }, { signal }), { name: 'AbortError' });
  });
});
