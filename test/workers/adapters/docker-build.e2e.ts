import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { symlink } from 'node:fs/promises';
import path from 'node:path';
import { after, before, suite, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { labelOf } from '../../../workers/adapters/docker-labels.ts';
import { BuildFailure, type BuildImageRequest } from '../../../workers/adapters/docker-types.ts';
import { openTestDocker } from '../../support/docker.ts';
import { busyboxImage, ensureTestImages } from '../../support/images.ts';

const { api, docker, instance, folderOf, cleanUp } = openTestDocker();
const from = `FROM ${busyboxImage}\n`;
const limits = {
  cpus: 1,
  memoryBytes: 256 * 1024 * 1024,
  timeMsMax: 60_000,
  contextBytesMax: 10 * 1024 * 1024,
};

let count = 0;
/** A build of these files that collects its lines. Failed builds leave no layers behind, as they have one step at most. */
async function build(files: Record<string, string>, changes: Partial<BuildImageRequest> = {}) {
  count += 1;
  const lines: string[] = [];
  const directory = changes.directory ?? (await folderOf(files));
  const buildId = `${instance}-${count}`;
  const done = docker.buildImage({
    directory,
    dockerfilePath: 'Dockerfile',
    tag: `apphub/${instance}:${count}`,
    labels: { [labelOf.app]: 'hello', [labelOf.build]: buildId },
    limits,
    signal: new AbortController().signal,
    onLine: line => void lines.push(line),
    ...changes,
  });
  return { done, lines, buildId };
}

async function failure(done: Promise<unknown>): Promise<BuildFailure> {
  const error = await done.then(
    () => assert.fail('the build went through'),
    error => error,
  );
  assert.ok(error instanceof BuildFailure, `${error}`);
  return error;
}

/** What the image holds, as its own shell tells it. */
async function listed(imageId: string, ...command: string[]): Promise<string> {
  const container = await api.createContainer({
    Image: imageId,
    Cmd: command,
    Labels: { [labelOf.instance]: instance },
  });
  await container.start();
  await container.wait();
  const output = await container.logs({ stdout: true, stderr: true, follow: false });
  await container.remove();
  return output.toString('utf8');
}

suite('building images', () => {
  before(() => ensureTestImages());
  after(cleanUp);

  test('gives the image, its ports, its labels and every line', async () => {
    const dockerfile = `${from}EXPOSE 9000 80/tcp 53/udp\nRUN echo one; printf 'two\\r\\nthree'\nCMD ["sh"]\n`;
    const { done, lines, buildId } = await build({ Dockerfile: dockerfile });
    const built = await done;

    assert.match(built.imageId, /^sha256:[0-9a-f]{64}$/);
    assert.deepEqual(built.ports, [80, 9000]);
    assert.ok(built.bytes > 1_000_000);
    assert.equal(built.steps, 4);
    assert.ok(lines.includes('Step 1/4 : FROM apphub-test/busybox:1'), lines.join('\n'));
    const at = lines.indexOf('one');
    assert.deepEqual(lines.slice(at, at + 3), ['one', 'two', 'three']);
    assert.match(lines[at + 3] ?? '', /^Removing intermediate/);
    const { Config, RepoTags } = await api.getImage(built.imageId).inspect();
    assert.equal(Config.Labels?.[labelOf.build], buildId);
    assert.equal(Config.Labels?.[labelOf.instance], instance);
    assert.deepEqual(RepoTags, [`apphub/${instance}:${count}`]);
  });

  test('of the same files is taken from the cache, whatever build it is of', async () => {
    const files = { Dockerfile: `${from}COPY . /all\nRUN echo ${randomUUID()}\n` };
    const first = await build(files);
    const { imageId } = await first.done;
    const second = await build(files);
    const again = await second.done;
    assert.equal(
      second.lines.filter(line => line === ' ---> Using cache').length,
      2,
      second.lines.join('\n'),
    );
    assert.notEqual(again.imageId, imageId);
    const labels = async (id: string) => (await api.getImage(id).inspect()).Config.Labels;
    const wanted = (buildId: string) => ({
      [labelOf.app]: 'hello',
      [labelOf.build]: buildId,
      [labelOf.instance]: instance,
    });
    assert.deepEqual(await labels(imageId), wanted(first.buildId));
    assert.deepEqual(await labels(again.imageId), wanted(second.buildId));
  });

  test('labels are put on as they are, and trigger nothing', async () => {
    const labels = { 'apphub.odd': 'a "quoted" $HOME \\ text', [labelOf.build]: `${instance}-odd` };
    const { done } = await build({ Dockerfile: from }, { labels });
    const image = await api.getImage((await done).imageId).inspect();
    assert.deepEqual(image.Config.Labels, { ...labels, [labelOf.instance]: instance });
    const trigger = await build({ Dockerfile: `${from}ONBUILD RUN exit 1\nCMD ["sh"]\n` });
    const { imageId, steps } = await trigger.done;
    const { Config } = await api.getImage(imageId).inspect();
    assert.deepEqual([Config.OnBuild, steps, Config.Labels?.[labelOf.app]], [['RUN exit 1'], 3, 'hello']);
  });

  test('is found again by its label, and tagged where the tag is lost', async () => {
    const { done, buildId } = await build({ Dockerfile: from });
    const { steps: _steps, papers: _papers, ...built } = await done;
    const labels = { [labelOf.build]: buildId };
    assert.deepEqual(await docker.findImage(labels), built);
    const tag = `apphub/${instance}:again`;
    assert.deepEqual(await docker.findImage(labels, tag), built);
    assert.equal((await api.getImage(tag).inspect()).Id, built.imageId);
    assert.equal(await docker.findImage({ [labelOf.build]: 'another' }), undefined);
  });

  test('leaves out what .dockerignore and good sense leave out, and nothing else', async () => {
    const directory = await folderOf({
      'docker/app.Dockerfile': `${from}COPY . /ctx\n`,
      '.dockerignore': 'docker\n*.secret\nbuild\n!build/keep/it\n',
      '.git/config': 'url = https://user:password@example.org/',
      'a.secret': 's',
      'build/no': 'n',
      'build/keep/it': 'y',
      'src/ü.txt': 'text',
      '.env': 'x',
    });
    await symlink('/etc/hostname', path.join(directory, 'outside'));
    const { done } = await build({}, { directory, dockerfilePath: 'docker/app.Dockerfile' });
    const { imageId } = await done;
    const found = await listed(imageId, 'find', '/ctx', '!', '-type', 'd');
    const paths = found.match(/\/ctx\/[^\n]*/g)?.sort();
    assert.deepEqual(paths, [
      '/ctx/.dockerignore',
      '/ctx/.env',
      '/ctx/build/keep/it',
      '/ctx/outside',
      '/ctx/src/ü.txt',
    ]);
    assert.match(await listed(imageId, 'readlink', '/ctx/outside'), /\/etc\/hostname/);
  });

  test('says which step failed, and that trying again is no use', async () => {
    const { done, lines } = await build({ Dockerfile: `${from}RUN echo before; exit 3\nRUN echo never\n` });
    const { reason, step, instruction, retryable } = await failure(done);
    assert.match(reason, /returned a non-zero code: 3/);
    assert.equal(step, 2);
    assert.equal(instruction, 'RUN echo before; exit 3');
    assert.equal(retryable, false);
    assert.ok(lines.includes('before') && !lines.includes('never'));
  });

  test('says what is wrong with a Dockerfile', async () => {
    const unknown = await failure((await build({ Dockerfile: `${from}NONSENSE\n` })).done);
    assert.match(unknown.reason, /unknown instruction: NONSENSE/i);
    assert.equal(unknown.retryable, false);
    const empty = await failure((await build({ Dockerfile: '' })).done);
    assert.match(empty.reason, /cannot be empty/);
    assert.equal(empty.retryable, false);
    const none = await failure((await build({ README: '' })).done);
    assert.equal(none.reason, 'There is no Dockerfile at this commit');
    const outside = await failure((await build({ a: '' }, { dockerfilePath: '../../etc/passwd' })).done);
    assert.match(outside.reason, /is outside the repository/);
    const directory = await folderOf({});
    await symlink('/etc/passwd', path.join(directory, 'Dockerfile'));
    assert.match((await failure((await build({}, { directory })).done)).reason, /not a plain file/);
  });

  test('a file that is not there fails the step that copies it', async () => {
    const { reason, step, retryable } = await failure(
      (await build({ Dockerfile: `${from}COPY nothing /\n` })).done,
    );
    assert.match(reason, /nothing/);
    assert.deepEqual([step, retryable], [2, false]);
  });

  test('a context that is too large is refused before it is sent', async () => {
    const small = { ...limits, contextBytesMax: 1_000 };
    const { done, lines } = await build({ Dockerfile: from, big: 'x'.repeat(2_000) }, { limits: small });
    assert.match((await failure(done)).reason, /context is larger/);
    assert.deepEqual(lines, []);
  });

  test('memory is limited, and the reason says so', async () => {
    const hungry = `${from}RUN echo hungry; tail /dev/zero\n`;
    const { reason, retryable } = await failure((await build({ Dockerfile: hungry })).done);
    assert.match(reason, /code: 137.*memory/);
    assert.equal(retryable, false);
  });

  test('a cancelled build stops in the engine too', async () => {
    const marker = `sleep 3${process.pid % 1_000}`;
    const cancelled = new AbortController();
    const { done, lines } = await build(
      { Dockerfile: `${from}RUN ${marker}\n` },
      { signal: cancelled.signal },
    );
    await until(async () => (await running(marker)) === 1);
    const before = performance.now();
    cancelled.abort(new Error('not wanted any more'));
    await assert.rejects(done, /not wanted any more/);
    await until(async () => (await running(marker)) === 0);
    assert.ok(performance.now() - before < 2_000);
    assert.ok(lines.some(line => line.includes(marker)));
    await assert.rejects(
      (await build({ Dockerfile: from }, { signal: cancelled.signal })).done,
      /not wanted/,
    );
  });

  test('a build that takes too long is stopped', async () => {
    const marker = `sleep 4${process.pid % 1_000}`;
    const short = { ...limits, timeMsMax: 1_500 };
    const { reason, step } = await failure(
      (await build({ Dockerfile: `${from}RUN ${marker}\n` }, { limits: short })).done,
    );
    assert.equal(reason, 'The build took longer than 1.5 s');
    assert.equal(step, 2);
    await until(async () => (await running(marker)) === 0);
  });

  test('a line without end is cut, and a slow reader holds the build up', async () => {
    const flood = `${from}RUN yes 0123456789 | tr -d '\\n' | head -c 3000000; echo; yes line | head -n 20000\n`;
    let waiting = 0;
    let waitingMax = 0;
    let lineCharsMax = 0;
    let lines = 0;
    let longLines = 0;
    const onLine = async (line: string) => {
      waiting += 1;
      waitingMax = Math.max(waitingMax, waiting);
      lineCharsMax = Math.max(lineCharsMax, line.length);
      if (line === 'line') lines += 1;
      if (line.length > 1_000) longLines += 1;
      await null;
      waiting -= 1;
    };
    await (await build({ Dockerfile: flood }, { onLine })).done;
    assert.equal(lines, 20_000);
    assert.equal(waitingMax, 1);
    assert.equal(lineCharsMax, 8_192 + ' …'.length);
    assert.equal(longLines, 1);
  });
});

/** How many containers run this command right now. */
async function running(command: string): Promise<number> {
  return (await api.listContainers()).filter(({ Command }) => Command.includes(command)).length;
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (!(await condition())) {
    assert.ok(performance.now() < deadline, 'it never came');
    await wait(25);
  }
}
