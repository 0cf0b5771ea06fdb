/** Repositories made to do harm, built by real workers on a real engine: each ends well, or with a reason, and does none. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, before, suite, test } from 'node:test';
import { readBuilds } from '../../../platform/build-config.ts';
import { labelOf } from '../../../workers/adapters/docker-labels.ts';
import { openTestDocker } from '../../support/docker.ts';
import { type GitServer, startGitServer } from '../../support/git-server.ts';
import { busyboxImage, ensureTestImages } from '../../support/images.ts';
import { commitTo, type Files, makeRepo, git as runGit } from '../../support/sample-repos.ts';
import { eventually, found, history, openWorkerBench, type WorkerBench } from '../../support/workers.ts';

const { api, docker, instance, cleanUp } = openTestDocker();
/** The engine keeps an image of each step. */
const stepsMsMax = 240_000;
const from = `FROM ${busyboxImage}\n`;
let root: string;
let git: GitServer;
let bench: WorkerBench;
before(async () => {
  await ensureTestImages();
  root = await mkdtemp(path.join(os.tmpdir(), 'apphub-test-hostile-'));
  git = await startGitServer({ root });
  bench = await openWorkerBench({ docker });
  await bench.start();
});
after(async () => {
  await bench.close();
  await git.close();
  await rm(root, { recursive: true, force: true });
  await cleanUp();
});

const specOf = (appId: string, commit: string, dockerfilePath = 'Dockerfile') => ({
  appId,
  repoUrl: `${git.url}/${appId}.git`,
  ref: null,
  commit,
  dockerfilePath,
});
const build = (appId: string, files: Files, dockerfilePath?: string) =>
  bench.requestBuild(specOf(appId, commitTo(makeRepo(root, appId), files, 'First'), dockerfilePath));

async function succeeded(buildId: string, ms?: number): Promise<string> {
  const { data } = await eventually(() => found(bench, 'BuildSucceeded', buildId), ms);
  return data.imageId;
}
async function failed(buildId: string) {
  const { data } = await eventually(() => found(bench, 'BuildFailed', buildId));
  return data;
}

/** A commit of trees as they are described, also of such as git itself would not make: lines of `git mktree`. */
function commitOf(repo: string, entries: readonly string[]): string {
  const tree = runGit(repo, ['mktree'], { input: `${entries.join('\n')}\n` });
  const commit = runGit(repo, ['commit-tree', '-m', 'Made by hand', tree]);
  runGit(repo, ['update-ref', 'refs/heads/main', commit]);
  return commit;
}
const blobOf = (repo: string, input: string | Buffer) =>
  runGit(repo, ['hash-object', '-w', '--stdin'], { input });

async function output(imageId: string, ...command: string[]): Promise<string> {
  const labels = { [labelOf.instance]: instance };
  const container = await api.createContainer({ Image: imageId, Cmd: command, Tty: true, Labels: labels });
  await container.start();
  await container.wait();
  const logs = await container.logs({ stdout: true, stderr: true, follow: false });
  await container.remove();
  return logs.toString('utf8').replaceAll('\r\n', '\n');
}

suite('a repository that was made to do harm', () => {
  test('two hundred steps are an image', async () => {
    const steps = Array.from({ length: 200 }, (_, at) => `ENV A${at}=${at}\n`).join('');
    const imageId = await succeeded(await build('steps', { Dockerfile: `${from}${steps}` }), stepsMsMax);
    assert.match(await output(imageId, 'env'), /A199=199/);
  });

  test('a step of ten minutes ends with the time that builds have', async t => {
    const other = await openWorkerBench({ docker });
    t.after(() => other.close());
    await other.start({ builds: readBuilds({ APPHUB_BUILD_SECONDS: '2' }) });
    const commit = commitTo(makeRepo(root, 'slow'), { Dockerfile: `${from}RUN sleep 600\n` }, 'First');
    const buildId = await other.requestBuild(specOf('slow', commit));
    const { data } = await eventually(() => found(other, 'BuildFailed', buildId));
    assert.deepEqual([data.reason, data.step], ['The build took longer than 2 s', 2]);
    await eventually(async () => {
      const steps = await docker.listBuildSteps();
      assert.ok(!steps.some(step => step.buildId === buildId));
    });
  });

  test('links lead to nothing of this machine: neither for steps, nor as the Dockerfile, nor on the way to it', async () => {
    const secret = path.join(root, 'secret');
    await writeFile(secret, 'not for builds');
    const dockerfile = `${from}COPY . /ctx\nRUN cat /ctx/file /ctx/folder/secret > /seen 2>&1; true\n`;
    const links = { file: { link: secret }, folder: { link: root } };
    const imageId = await succeeded(await build('links', { Dockerfile: dockerfile, ...links }));
    const seen = await output(imageId, 'cat', '/seen');
    assert.ok(/No such file/.test(seen) && !seen.includes('not for builds'), seen);
    for (const [appId, files, dockerfilePath] of [
      ['link-itself', { Dockerfile: { link: '/etc/passwd' } }, 'Dockerfile'],
      ['link-on-the-way', { Dockerfile: from, folder: { link: '/etc' } }, 'folder/passwd'],
    ] as const) {
      const { reason, attempt } = await failed(await build(appId, files, dockerfilePath));
      assert.match(reason, /is not a plain file/);
      assert.equal(attempt, 1);
    }
  });

  test('a .git of its own with hooks is refused, and nothing of it is run', async () => {
    const repo = makeRepo(root, 'hooks');
    const planted = path.join(root, 'planted');
    const hook = blobOf(repo, `#!/bin/sh\ntouch '${planted}'\n`);
    const hooks = runGit(repo, ['mktree'], { input: `100755 blob ${hook}\tpost-checkout\n` });
    const dotGit = runGit(repo, ['mktree'], { input: `040000 tree ${hooks}\thooks\n` });
    const commit = commitOf(repo, [
      `040000 tree ${dotGit}\t.git`,
      `100644 blob ${blobOf(repo, from)}\tDockerfile`,
    ]);
    const { reason, attempt } = await failed(await bench.requestBuild(specOf('hooks', commit)));
    assert.match(reason, /a file that git does not check out/);
    assert.equal(attempt, 1);
    assert.ok(!existsSync(planted));
    assert.deepEqual(
      (await bench.workFolders()).filter(name => name.includes('hooks')),
      [],
    );
  });

  test('a submodule of this machine stays an empty folder', async () => {
    const repo = makeRepo(root, 'submodule');
    const inner = commitTo(makeRepo(root, 'inner'), { secret: 'not for builds' }, 'Inner');
    const modules = `[submodule "s"]\n path = s\n url = file://${root}/inner.git\n`;
    const dockerfile = `${from}COPY . /ctx\nRUN find /ctx -name secret > /seen\n`;
    const commit = commitOf(repo, [
      `100644 blob ${blobOf(repo, modules)}\t.gitmodules`,
      `100644 blob ${blobOf(repo, dockerfile)}\tDockerfile`,
      `160000 commit ${inner}\ts`,
    ]);
    const imageId = await succeeded(await bench.requestBuild(specOf('submodule', commit)));
    assert.equal(await output(imageId, 'cat', '/seen'), '');
  });

  test('two gigabytes that travel as a few kilobytes are refused before they are unfolded', async () => {
    const repo = makeRepo(root, 'unfolds');
    const zeros = blobOf(repo, Buffer.alloc(64 * 1024 * 1024));
    const copies = Array.from({ length: 32 }, (_, at) => `100644 blob ${zeros}\tzeros-${at}`);
    const commit = commitOf(repo, [`100644 blob ${blobOf(repo, from)}\tDockerfile`, ...copies]);
    const buildId = await bench.requestBuild(specOf('unfolds', commit));
    const { reason, attempt } = await failed(buildId);
    assert.equal(reason, 'The repository is larger than 512 MiB. Use a smaller one.');
    assert.equal(attempt, 1);
    assert.deepEqual(history(bench, 'build', buildId), ['BuildRequested', 'BuildStarted', 'BuildFailed']);
    assert.deepEqual(
      (await bench.workFolders()).filter(name => name.includes(buildId)),
      [],
    );
  });

  test('names that look like options and commands are names', async () => {
    const dockerfile = `${from}COPY -v /v\nCOPY ["$(touch hacked)", "/c"]\nRUN test ! -e /hacked && cat /v /c > /seen\n`;
    const files = {
      '-v': 'one ',
      '$(touch hacked)': 'two',
      '--help': dockerfile,
      '$(id).Dockerfile': dockerfile,
    };
    for (const [at, name] of ['--help', '$(id).Dockerfile'].entries()) {
      const imageId = await succeeded(await build(`names-${at}`, files, name));
      assert.equal(await output(imageId, 'cat', '/seen'), 'one two');
    }
    const { reason } = await failed(await build('names-out', { Dockerfile: from }, '../../etc/passwd'));
    assert.match(reason, /outside the repository/);
  });
});
