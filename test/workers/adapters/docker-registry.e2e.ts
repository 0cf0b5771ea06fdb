/** Images on their way to a real registry and back, by the adapter and by builds. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, before, suite, test } from 'node:test';
import { readBuilds } from '../../../platform/build-config.ts';
import { openLogger } from '../../../platform/log.ts';
import { openDocker } from '../../../workers/adapters/docker.ts';
import { labelOf } from '../../../workers/adapters/docker-labels.ts';
import { BuildFailure } from '../../../workers/adapters/docker-types.ts';
import { openTestDocker } from '../../support/docker.ts';
import { startGitServer } from '../../support/git-server.ts';
import { busyboxImage, ensureTestImages } from '../../support/images.ts';
import { registryUser, startTestRegistry, type TestRegistry } from '../../support/registry.ts';
import { commitTo, makeRepo } from '../../support/sample-repos.ts';
import { takeTurns } from '../../support/turn.ts';
import { eventually, found, history, openWorkerBench } from '../../support/workers.ts';

// The engine holds the steps of all that BuildKit builds together to one limit.
takeTurns('buildkit');

const { api, docker, instance, imageOf, cleanUp } = openTestDocker();
const log = openLogger({ level: 'silent' });
const { signal } = new AbortController();
const manifests = { accept: 'application/vnd.docker.distribution.manifest.v2+json' };
const lines: string[] = [];
const onLine = (line: string) => void lines.push(line);

async function failure(done: Promise<unknown>): Promise<BuildFailure> {
  const error = await done.then(
    () => assert.fail('it went through'),
    error => error,
  );
  assert.ok(error instanceof BuildFailure, `${error}`);
  return error;
}

suite('a registry of images', () => {
  let registry: TestRegistry;
  let guarded: TestRegistry;
  before(async () => {
    await ensureTestImages();
    registry = await startTestRegistry();
    guarded = await startTestRegistry({ hasPassword: true });
  });
  after(async () => {
    for (const { RepoTags, Id } of await api.listImages()) {
      const ours = RepoTags?.filter(tag => [registry.host, guarded.host].some(host => tag.startsWith(host)));
      for (const tag of ours ?? []) await api.getImage(tag).remove({ force: true });
      assert.ok(Id);
    }
    await registry.close();
    await guarded.close();
    await cleanUp();
  });

  test('takes an image, and gives it back by its digest, whatever its tag is by then', async () => {
    const first = await imageOf('pushed-1', 'CMD ["echo", "first"]');
    const repository = `${registry.host}/team/shop`;
    const pushed = await docker.pushImage({ imageId: first, repository, tag: 'latest', signal, onLine });
    assert.equal(pushed.repository, repository);
    assert.match(pushed.digest, /^sha256:[0-9a-f]{64}$/);
    assert.ok(
      lines.some(line => /Pushed$/.test(line)),
      lines.join('\n'),
    );
    const kept = await registry.ask(`/v2/team/shop/manifests/${pushed.digest}`, manifests);
    assert.equal(kept.status, 200);
    assert.equal(((await kept.json()) as { config: { digest: string } }).config.digest, first);

    const second = await imageOf('pushed-2', 'CMD ["echo", "second"]');
    const later = await docker.pushImage({ imageId: second, repository, tag: 'latest', signal, onLine });
    assert.notEqual(later.digest, pushed.digest);
    await api.getImage(first).remove({ force: true });
    await assert.rejects(api.getImage(first).inspect(), /404/);
    const pulled = await docker.pullImage(pushed, signal);
    assert.deepEqual([pulled.imageId, pulled.digest], [first, pushed.digest]);
    assert.deepEqual(await docker.pullImage(pushed, signal), pulled, 'what is there is not fetched again');
    await api.getImage(`${repository}@${pushed.digest}`).remove({ force: true });
  });

  test('that wants a name lets in who has it, and nobody else, for good', async () => {
    const imageId = await imageOf('guarded', 'CMD ["echo", "guarded"]');
    const repository = `${guarded.host}/shop`;
    const push = (auth: typeof registryUser | undefined, host = guarded.host) => {
      const builds = { buildkit: 'auto', auth: auth && { host, ...auth } } as const;
      const engine = openDocker({ instance, builds, log });
      return engine.pushImage({ imageId, repository, tag: '1', signal, onLine });
    };
    for (const wrong of [
      () => push(undefined),
      () => push({ ...registryUser, password: 'wrong' }),
      () => push(registryUser, 'other:5000'),
    ]) {
      const { reason, retryable } = await failure(wrong());
      assert.match(reason, /was not pushed to .*: .*(no basic auth|unauthorized|denied)/);
      assert.equal(retryable, false);
      assert.ok(!reason.includes(registryUser.password));
    }
    const { digest } = await push(registryUser);
    const missing = { repository, digest: `sha256:${'0'.repeat(64)}` };
    const engine = openDocker({
      instance,
      builds: { buildkit: 'auto', auth: { host: guarded.host, ...registryUser } },
      log,
    });
    const { reason, retryable } = await failure(engine.pullImage(missing, signal));
    assert.match(reason, /could not be pulled/);
    assert.equal(retryable, false);
    await api.getImage(imageId).remove({ force: true });
    assert.equal((await engine.pullImage({ repository, digest }, signal)).imageId, imageId);
    await api.getImage(`${repository}@${digest}`).remove({ force: true });
  });

  test('that is away is worth another try', async () => {
    const imageId = await imageOf('away', 'CMD ["echo", "away"]');
    await registry.kill();
    try {
      const repository = `${registry.host}/away`;
      const { reason, retryable } = await failure(
        docker.pushImage({ imageId, repository, tag: '1', signal, onLine }),
      );
      assert.match(reason, /was not pushed to .*refused/);
      assert.equal(retryable, true);
      const cancelled = AbortSignal.abort(new Error('not wanted'));
      await assert.rejects(
        docker.pushImage({ imageId, repository, tag: '1', signal: cancelled, onLine }),
        /not wanted/,
      );
    } finally {
      await registry.start();
    }
  });

  test('has each build, and the event has its digest; a push that failed is tried again without building again', async t => {
    const root = await mkdtemp(path.join(os.tmpdir(), 'apphub-test-pushed-'));
    const git = await startGitServer({ root });
    const bench = await openWorkerBench({ docker });
    t.after(async () => {
      await bench.close();
      await git.close();
      await rm(root, { recursive: true, force: true });
    });
    const dockerfile = `FROM ${busyboxImage}\nEXPOSE 80\n`;
    const commit = commitTo(makeRepo(root, 'pushed'), { Dockerfile: dockerfile }, 'First');
    const spec = {
      appId: 'pushed',
      repoUrl: `${git.url}/pushed.git`,
      ref: null,
      commit,
      dockerfilePath: 'Dockerfile',
    };
    await registry.kill();
    const builds = readBuilds({ APPHUB_IMAGE_REGISTRY: `${registry.host}/previews` });
    await bench.start({ builds });
    const buildId = await bench.requestBuild(spec);
    await eventually(async () => assert.match(await bench.logText(buildId), /INTERRUPTED .*was not pushed/));
    await registry.start();
    const { data } = await eventually(() => found(bench, 'BuildSucceeded', buildId));
    const repository = `${registry.host}/previews/pushed`;
    assert.equal(data.pushed?.repository, repository);
    const tag = `${commit.slice(0, 12)}-${buildId.slice(0, 8)}`;
    const kept = await registry.ask(`/v2/previews/pushed/manifests/${tag}`, manifests);
    assert.equal(kept.headers.get('docker-content-digest'), data.pushed?.digest);
    assert.ok(history(bench, 'build', buildId).filter(type => type === 'BuildStarted').length > 1);
    assert.equal((await bench.logText(buildId)).match(/^Building /gm)?.length, 1);
    const label = [`${labelOf.build}=${buildId}`, `${labelOf.instance}=${instance}`];
    assert.equal((await api.listImages({ filters: { label } })).length, 1);
    assert.equal(data.provenance?.dockerfile.path, 'Dockerfile');
  });
});
