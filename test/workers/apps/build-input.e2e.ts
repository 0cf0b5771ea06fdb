/** What builds are given and what is kept of them: arguments, secrets and provenance, by real workers on a real engine. */
import assert from 'node:assert/strict';
import { createHash, randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, before, suite, type TestContext, test } from 'node:test';
import { buildInput } from '../../../domain/apps/build-input.ts';
import { statementOf } from '../../../read-api/apps/provenance.ts';
import { labelOf } from '../../../workers/adapters/docker-labels.ts';
import { openTestDocker } from '../../support/docker.ts';
import { type GitServer, startGitServer } from '../../support/git-server.ts';
import { busyboxImage, ensureTestImages } from '../../support/images.ts';
import { commitTo, makeRepo } from '../../support/sample-repos.ts';
import { takeTurns } from '../../support/turn.ts';
import { eventually, found, openWorkerBench, type WorkerBench } from '../../support/workers.ts';

// The engine holds the steps of all that BuildKit builds together to one limit.
takeTurns('buildkit');

const { api, docker, instance, cleanUp } = openTestDocker();
let root: string;
let git: GitServer;
before(async () => {
  await ensureTestImages();
  root = await mkdtemp(path.join(os.tmpdir(), 'apphub-test-input-'));
  git = await startGitServer({ root });
});
after(async () => {
  await git.close();
  await rm(root, { recursive: true, force: true });
  await cleanUp();
});

async function open(t: TestContext): Promise<WorkerBench> {
  const bench = await openWorkerBench({ docker });
  t.after(() => bench.close());
  return bench;
}

/** A repository with this Dockerfile, and what is to be built of it. */
function specOf(appId: string, ...lines: string[]) {
  const dockerfile = `FROM ${busyboxImage}\n${lines.join('\n')}\n`;
  const commit = commitTo(makeRepo(root, appId), { 'docker/Dockerfile': dockerfile }, 'First');
  const repoUrl = `${git.url}/${appId}.git`;
  return { dockerfile, spec: { appId, repoUrl, ref: null, commit, dockerfilePath: 'docker/Dockerfile' } };
}

async function setSecret(bench: WorkerBench, appId: string, name: string, value: string, repoUrl: string) {
  const key = randomUUID();
  await bench.deps.buildSecrets.keep(key, value, { appId, name });
  const data = { appId, name, key, repoUrl, at: new Date().toISOString() };
  await bench.say(buildInput, appId, { type: 'SetBuildSecret', data });
}

/** Everything that is kept: the log, and every row of every table. */
async function everythingOf(bench: WorkerBench): Promise<string> {
  const rows: unknown[] = [bench.events];
  for (const { tablename } of await bench.sql('pg_tables').where({ schemaname: 'public' })) {
    rows.push(await bench.sql(tablename).select(bench.sql.raw('to_jsonb(??) as row', [tablename])));
  }
  return JSON.stringify(rows, (_key, value) => (typeof value === 'bigint' ? value.toString() : value));
}

const ended = (bench: WorkerBench, buildId: string) =>
  eventually(() => {
    const end = bench.events.find(
      ({ type, stream }) => /^Build(Succeeded|Failed)$/.test(type) && stream.endsWith(buildId),
    );
    assert.ok(end !== undefined);
    return end.type;
  });

suite('what a build is given', { concurrency: true }, () => {
  test('a secret that a step prints in every way is in no log, event, table, layer or history', async t => {
    const bench = await open(t);
    await bench.start();
    const value = `line-one-${randomUUID()}\nline-two-${randomUUID()}`;
    const [lineOne = '', lineTwo = ''] = value.split('\n');
    const { spec } = specOf(
      'prints',
      'ARG NAME',
      `RUN --mount=type=secret,id=token cat /run/secrets/token; base64 /run/secrets/token; echo "hello $NAME ${randomUUID()}"`,
      'RUN echo nothing to see',
    );
    await setSecret(bench, 'prints', 'token', value, spec.repoUrl);
    await setSecret(bench, 'prints', 'unused', `unused-${randomUUID()}`, spec.repoUrl);
    const buildId = await bench.requestBuild({ ...spec, args: { NAME: 'world' } });
    assert.equal(await ended(bench, buildId), 'BuildSucceeded', await bench.logText(buildId));
    const log = await bench.logText(buildId);
    assert.match(log, /^Building .* by BuildKit because of RUN --mount$/m);
    assert.match(log, /^\*\*\*$/m);
    assert.match(log, /^hello world /m);
    const base64 = Buffer.from(value).toString('base64');
    for (const form of [lineOne, lineTwo, base64.slice(0, 40), base64.slice(-40)])
      assert.ok(!log.includes(form), log);
    const { data } = found(bench, 'BuildSucceeded', buildId);
    assert.deepEqual(data.provenance?.secrets, [
      { name: 'token', version: 1 },
      { name: 'unused', version: 1 },
    ]);
    await eventually(async () => {
      const row = await bench.sql('apps_builds').where({ build_id: buildId }).first('status');
      assert.equal(row?.status, 'succeeded');
    });
    const kept = await everythingOf(bench);
    const chunks: Buffer[] = [];
    for await (const chunk of await api.getImage(data.imageId).get()) chunks.push(Buffer.from(chunk));
    const saved = Buffer.concat(chunks).toString('latin1');
    const history = JSON.stringify(await api.getImage(data.imageId).history());
    for (const secret of [lineOne, lineTwo, base64.slice(0, 40)]) {
      assert.ok(!kept.includes(secret), 'the log or a table');
      assert.ok(!saved.includes(secret), 'docker save');
      assert.ok(!history.includes(secret), 'docker history');
    }
  });

  test('a step that fails with a secret in its words does not tell it', async t => {
    const bench = await open(t);
    await bench.start();
    const value = `in-the-dockerfile-${randomUUID()}`;
    const { spec } = specOf('blurts', `RUN --mount=type=secret,id=token echo ${value} && exit 7`);
    await setSecret(bench, 'blurts', 'token', value, spec.repoUrl);
    const buildId = await bench.requestBuild(spec);
    assert.equal(await ended(bench, buildId), 'BuildFailed');
    const { data } = found(bench, 'BuildFailed', buildId);
    assert.equal(data.instruction, 'RUN --mount=type=secret,id=token echo *** && exit 7');
    assert.match(data.reason, /exit code: 7/);
    assert.ok(!(await everythingOf(bench)).includes(value));
    assert.ok(!(await bench.logText(buildId)).includes(value));
  });

  test('a secret that was set for another source, or whose value is lost, is not given', async t => {
    const bench = await open(t);
    await bench.start();
    const { spec } = specOf(
      'foreign',
      `RUN --mount=type=secret,id=token,required=true cat /run/secrets/token`,
    );
    await setSecret(bench, 'foreign', 'token', `others-${randomUUID()}`, 'https://git.example/others.git');
    const first = await bench.requestBuild(spec);
    assert.equal(await ended(bench, first), 'BuildFailed');
    const { data } = found(bench, 'BuildFailed', first);
    assert.equal(data.reason, 'The build secret "token" is not set for this source of the app');
    await setSecret(bench, 'foreign', 'token', `ours-${randomUUID()}`, spec.repoUrl);
    await bench.sql('build_secret_values').delete();
    const second = await bench.requestBuild(spec);
    assert.equal(await ended(bench, second), 'BuildFailed');
    assert.match(
      await bench.logText(second),
      /The value of the build secret token is no longer there: set it again/,
    );
  });

  test('arguments reach the Dockerfile as they are, whatever they are', async t => {
    const bench = await open(t);
    await bench.start();
    const odd = '$(touch /hacked) `id` -v "quoted" \'single\' %41 &x=1';
    const { spec, dockerfile } = specOf(
      'odd-args',
      'ARG ODD',
      'ARG DEFAULT=kept',
      'RUN printf %s "$ODD" > /odd; test ! -e /hacked',
    );
    const buildId = await bench.requestBuild({ ...spec, args: { ODD: odd } });
    assert.equal(await ended(bench, buildId), 'BuildSucceeded', await bench.logText(buildId));
    const { data } = found(bench, 'BuildSucceeded', buildId);
    const container = await api.createContainer({
      Image: data.imageId,
      Cmd: ['cat', '/odd'],
      Tty: true,
      Labels: { [labelOf.instance]: instance },
    });
    await container.start();
    await container.wait();
    assert.equal((await container.logs({ stdout: true, follow: false })).toString(), odd);
    await container.remove();

    // What it was made of: each thing by its digest.
    const base = await api.getImage(busyboxImage).inspect();
    const { Version } = await api.version();
    assert.deepEqual(data.provenance, {
      dockerfile: {
        path: 'docker/Dockerfile',
        sha256: createHash('sha256').update(dockerfile).digest('hex'),
      },
      context: '',
      bases: [{ ref: busyboxImage, imageId: base.Id, digest: null }],
      builder: { kind: 'classic', engine: Version, platform: 'linux/amd64' },
      secrets: [],
    });
    const row = await eventually(async () => {
      const found = await bench.sql('apps_builds').where({ build_id: buildId, status: 'succeeded' }).first();
      assert.ok(found !== undefined);
      return found;
    });
    const { predicate, subject } = statementOf(row);
    assert.deepEqual(subject, [
      { name: data.image, digest: { sha256: data.imageId.slice('sha256:'.length) } },
    ]);
    assert.deepEqual(predicate.buildDefinition.externalParameters.buildArgs, { ODD: odd });
  });
});
