import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { openCheckout } from '../../../../workers/apps/inspect/checkout.ts';
import { dockerfileBytesMax, findDockerfile } from '../../../../workers/apps/inspect/find-dockerfile.ts';
import {
  InspectionFailure,
  type InspectionFailureCode,
} from '../../../../workers/apps/inspect/inspection-failure.ts';
import { withFolder } from '../../../support/checkout-folder.ts';
import type { Files } from '../../../support/sample-repos.ts';

const from = 'FROM a\n';
const find = (files: Files, declared?: string) =>
  withFolder(files, async folder => (await findDockerfile(await openCheckout(folder), declared)).path);
const fails = (code: InspectionFailureCode, says: RegExp) => (error: unknown) => {
  assert.ok(error instanceof InspectionFailure, String(error));
  assert.equal(error.code, code);
  assert.match(error.message, says);
  return true;
};

suite('looking for a Dockerfile', () => {
  test('the nearest to the root wins, then the shortest path, then the alphabet', async () => {
    assert.equal(await find({ Dockerfile: from, 'a/Dockerfile': from }), 'Dockerfile');
    assert.equal(await find({ 'a/b/Dockerfile': from, 'services/Dockerfile': from }), 'services/Dockerfile');
    assert.equal(await find({ 'longer/Dockerfile': from, 'web/Dockerfile': from }), 'web/Dockerfile');
    assert.equal(await find({ 'b/Dockerfile': from, 'a/Dockerfile': from }), 'a/Dockerfile');
  });

  test('a plain name far down goes before a variant at the root', async () => {
    assert.equal(await find({ 'Dockerfile.dev': from, 'a/b/Dockerfile': from }), 'a/b/Dockerfile');
    assert.equal(await find({ 'Dockerfile.dev': from }), 'Dockerfile.dev');
    assert.equal(await find({ 'web.dockerfile': from }), 'web.dockerfile');
    assert.equal(await find({ Containerfile: from }), 'Containerfile');
  });

  test("other people's folders and files that only look alike do not count", async () => {
    const files = {
      'node_modules/x/Dockerfile': from,
      '.git/Dockerfile': from,
      'vendor/x/Dockerfile': from,
      'Dockerfile.dockerignore': from,
      'Dockerfile.md': from,
      MyDockerfile: from,
    };
    await assert.rejects(find(files), fails('no-dockerfile', /Add a file named "Dockerfile"/));
  });

  test('one without FROM is passed over for the next, and named when there is no other', async () => {
    assert.equal(await find({ Dockerfile: 'text', 'a/Dockerfile': from }), 'a/Dockerfile');
    await assert.rejects(find({ Dockerfile: '' }), fails('dockerfile-invalid', /"Dockerfile".*no FROM/));
  });

  test('folders that are links are not entered; a file that is a link inside the checkout is read', async () => {
    assert.equal(
      await find({ 'deep/real/Dockerfile': from, Dockerfile: { link: 'deep/real/Dockerfile' } }),
      'Dockerfile',
    );
    await assert.rejects(
      find({ loop: { link: '.' }, 'a/up': { link: '../..' } }),
      fails('no-dockerfile', /./),
    );
  });
});

suite('a declared Dockerfile', () => {
  test('is taken, whatever its name and whatever else is there', async () => {
    assert.equal(
      await find({ Dockerfile: from, 'build/web.docker': from }, 'build/web.docker'),
      'build/web.docker',
    );
  });

  test('that is missing is said together with those that are there', async () => {
    const files = { 'web/Dockerfile': from, 'Dockerfile.dev': from };
    await assert.rejects(
      find(files, 'Dockerfile'),
      fails('dockerfile-missing', /no file "Dockerfile".*"web\/Dockerfile", "Dockerfile.dev"/),
    );
    await assert.rejects(find({ a: '' }, 'Dockerfile'), fails('dockerfile-missing', /Add the file/));
    await assert.rejects(
      find({ 'web/Dockerfile': from }, 'web'),
      fails('dockerfile-missing', /no file "web"/),
    );
  });

  test('without FROM or beyond the limit is refused', async () => {
    await assert.rejects(find({ Dockerfile: 'RUN x' }, 'Dockerfile'), fails('dockerfile-invalid', /no FROM/));
    const long = `${from}#${'x'.repeat(dockerfileBytesMax)}`;
    await assert.rejects(
      find({ Dockerfile: long }, 'Dockerfile'),
      fails('dockerfile-invalid', /longer than 128 KiB/),
    );
  });

  test('outside the repository is not read, neither by path nor through a link', async () => {
    await assert.rejects(find({}, '../Dockerfile'), fails('dockerfile-missing', /stays inside/));
    await assert.rejects(find({}, '/etc/passwd'), fails('dockerfile-missing', /relative to the root/));
    await assert.rejects(
      find({ Dockerfile: { link: '/etc/passwd' } }, 'Dockerfile'),
      fails('dockerfile-missing', /no file/),
    );
    await assert.rejects(find({ d: { link: '..' } }, 'd/Dockerfile'), fails('dockerfile-missing', /no file/));
  });
});
