/** Builds by the engine's BuildKit: what it alone understands, what its steps say, its secrets and its limits. */
import assert from 'node:assert/strict';
import { createHash, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readdir, readFile, rmdir } from 'node:fs/promises';
import { type AddressInfo, connect, createServer } from 'node:net';
import path from 'node:path';
import { after, before, suite, test } from 'node:test';
import { openLogger } from '../../../platform/log.ts';
import { openDocker } from '../../../workers/adapters/docker.ts';
import { labelOf } from '../../../workers/adapters/docker-labels.ts';
import { BuildFailure, type BuildImageRequest } from '../../../workers/adapters/docker-types.ts';
import { alone, openTestDocker } from '../../support/docker.ts';
import { startTestEngine } from '../../support/engine.ts';
import { busyboxImage, ensureTestImages } from '../../support/images.ts';
import { eventually } from '../../support/workers.ts';

const { api, docker, instance, folderOf, cleanUp } = openTestDocker();
const from = `FROM ${busyboxImage}\n`;
const limits = {
  cpus: 1,
  cpuShares: 100,
  memoryBytes: 256 * 1024 * 1024,
  pidsMax: 64,
  timeMsMax: 60_000,
  contextBytesMax: 10 * 1024 * 1024,
};
const mount = 'RUN --mount=type=tmpfs,target=/scratch';

let count = 0;
async function build(
  files: Record<string, string>,
  changes: Partial<BuildImageRequest> = {},
  engine = docker,
) {
  count += 1;
  const lines: string[] = [];
  const done = engine.buildImage({
    directory: await folderOf(files),
    dockerfilePath: 'Dockerfile',
    tag: `apphub/${instance}:kit-${count}`,
    labels: { [labelOf.app]: 'hello', [labelOf.build]: `${instance}-kit-${count}` },
    limits,
    signal: new AbortController().signal,
    onLine: line => void lines.push(line),
    ...changes,
  });
  return { done, lines };
}

async function failure(done: Promise<unknown>): Promise<BuildFailure> {
  const error = await done.then(
    () => assert.fail('the build went through'),
    error => error,
  );
  assert.ok(error instanceof BuildFailure, `${error}`);
  return error;
}

async function output(image: string, ...command: string[]): Promise<string> {
  const container = await api.createContainer({
    Image: image,
    Cmd: command,
    Tty: true,
    Labels: { [labelOf.instance]: instance },
  });
  await container.start();
  await container.wait();
  const logs = await container.logs({ stdout: true, stderr: true, follow: false });
  await container.remove();
  return logs.toString('utf8').replaceAll('\r\n', '\n');
}

const sumOf = (text: string) => createHash('sha256').update(text).digest('hex');

/** Processes of this machine whose command line holds the text: the engine is on this machine. */
async function processesWith(text: string): Promise<string[]> {
  const ids = (await readdir('/proc')).filter(name => /^\d+$/.test(name));
  const lines = await Promise.all(
    ids.map(id => readFile(path.join('/proc', id, 'cmdline'), 'utf8').catch(() => '')),
  );
  return lines.filter(line => line.split('\0').includes(text));
}

/** What an engine has made for its containers and steps, and what was claimed there, in each tree. */
async function removeGroups(name: string): Promise<void> {
  const root = '/sys/fs/cgroup';
  for (const controller of await readdir(root)) {
    const top = path.join(root, controller, name);
    const folders = await readdir(top, { recursive: true, withFileTypes: true }).catch(() => []);
    const inner = folders
      .filter(each => each.isDirectory())
      .map(each => path.join(each.parentPath, each.name));
    for (const folder of [...inner.toSorted((a, b) => b.length - a.length), top])
      await rmdir(folder).catch(() => undefined);
  }
}

suite('building images by BuildKit', () => {
  before(() => ensureTestImages());
  after(cleanUp);

  test('mounts, arguments, several stages; each step is named as in the Dockerfile, and its lines follow it', async () => {
    const who = `you & $(me) ${randomUUID()}`;
    const dockerfile = [
      '# syntax=docker/dockerfile:1',
      '# escape=\\',
      `FROM ${busyboxImage} AS one`,
      'ARG WHO',
      'ENV A=1',
      'WORKDIR /w',
      'RUN --mount=type=bind,source=in.txt,target=/in.txt cat /in.txt > out.txt; echo "for $WHO"; printf half',
      'FROM scratch AS unused',
      'COPY in.txt /',
      `FROM ${busyboxImage}`,
      'EXPOSE 8000/tcp',
      'COPY --from=one /w/out.txt /out.txt',
      `RUN test ${randomUUID()} && echo last`,
    ].join('\n');
    const { done, lines } = await build(
      { Dockerfile: dockerfile, 'in.txt': 'content\n' },
      { args: { WHO: who } },
    );
    const built = await done;
    const all = lines.join('\n');
    assert.deepEqual([built.papers.builder.kind, built.ports, built.steps], ['buildkit', [8000], 11]);
    const at = (line: string) => lines.findIndex(each => each.replace(/^#\d+ /, '') === line);
    const run = lines.findIndex(line => line.startsWith('Step 5/11 : RUN --mount=type=bind,source=in.txt'));
    assert.ok(run >= 0, all);
    for (const line of [`for ${who}`, 'half']) assert.ok(at(line) > run, all);
    assert.ok(at('last') > lines.findIndex(line => line.startsWith('Step 11/11 : RUN test ')), all);
    assert.ok(!all.includes('COPY in.txt'), all);
    assert.equal(await output(built.imageId, 'cat', '/out.txt'), 'content\n');
    const { Config } = await api.getImage(built.imageId).inspect();
    assert.equal(Config.Labels?.[labelOf.instance], instance);
    const base = await api.getImage(busyboxImage).inspect();
    assert.deepEqual(built.papers.bases, [{ ref: busyboxImage, imageId: base.Id, digest: null }]);
  });

  test('what it has built before is taken from its cache, and said to be', async () => {
    const dockerfile = `${from}${mount} echo ${randomUUID()}\n`;
    await (await build({ Dockerfile: dockerfile })).done;
    const { done, lines } = await build({ Dockerfile: dockerfile });
    await done;
    assert.ok(lines.includes(' ---> Using cache'), lines.join('\n'));
  });

  test('says which step failed, with the instruction as it is in the Dockerfile', async () => {
    const dockerfile = `${from}ENV A=1\nRUN true\n${mount} echo before; \\\n  exit 3\nRUN echo never\n`;
    const { done, lines } = await build({ Dockerfile: dockerfile });
    const { reason, step, instruction, retryable } = await failure(done);
    assert.match(reason, /exit code: 3$/);
    assert.doesNotMatch(reason, /failed to solve/);
    assert.deepEqual(
      [step, instruction, retryable],
      [4, 'RUN --mount=type=tmpfs,target=/scratch echo before;   exit 3', false],
    );
    assert.ok(lines.includes('before') && !lines.includes('never'), lines.join('\n'));
    const parse = await failure((await build({ Dockerfile: `${from}${mount} true\nNONSENSE\n` })).done);
    assert.match(parse.reason, /unknown instruction: NONSENSE/i);
    assert.equal(parse.retryable, false);
    const copy = await failure((await build({ Dockerfile: `${from}${mount} true\nCOPY nothing /\n` })).done);
    assert.match(copy.reason, /nothing/);
    assert.deepEqual([copy.step, copy.instruction, copy.retryable], [3, 'COPY nothing /', false]);
  });

  test('a cancelled build stops in the engine too, in the middle of a step', async () => {
    const seconds = String(300_000 + process.pid);
    const cancelled = new AbortController();
    const { done } = await build(
      { Dockerfile: `${from}${mount} sleep ${seconds}\n` },
      { signal: cancelled.signal },
    );
    const isSleeping = async () => (await processesWith(seconds)).length > 0;
    await eventually(async () => assert.ok(await isSleeping()));
    cancelled.abort(new Error('not wanted any more'));
    await assert.rejects(done, /not wanted any more/);
    await eventually(async () => assert.ok(!(await isSleeping())));
  });

  test('a build that takes too long is stopped', async () => {
    const seconds = String(400_000 + process.pid);
    const short = { ...limits, timeMsMax: 1_500 };
    const { done } = await build({ Dockerfile: `${from}${mount} sleep ${seconds}\n` }, { limits: short });
    const { reason, step } = await failure(done);
    assert.deepEqual([reason, step], ['The build took longer than 1.5 s', 2]);
    await eventually(async () => assert.deepEqual(await processesWith(seconds), []));
  });

  test('memory and processes of its steps are limited, all together, from the first one on a new engine', async t => {
    // Its steps have a group of their own, so that builds of other tests at the same time are not a part of the sum.
    const cgroupParent = `apphub-${instance}`;
    const own = await startTestEngine({ args: [`--cgroup-parent=/${cgroupParent}`] });
    t.after(async () => {
      await own.close();
      await removeGroups(cgroupParent);
    });
    await own.load(busyboxImage);
    const log = openLogger({ level: 'silent' });
    const builds = { buildkit: 'capped', cgroupParent } as const;
    const engine = alone(openDocker({ host: own.host, instance, builds, log }));
    // A smaller limit of before is no obstacle.
    const small = { ...limits, memoryBytes: 32 * 1024 * 1024 };
    await (await build({ Dockerfile: `${from}${mount} true\n` }, { limits: small }, engine)).done;
    const hungry = `${from}${mount} echo hungry; tail /dev/zero\n`;
    const { reason, retryable } = await failure((await build({ Dockerfile: hungry }, {}, engine)).done);
    assert.match(reason, /code: 137.*memory/);
    assert.equal(retryable, false);
    const group = `/sys/fs/cgroup/cpu/${cgroupParent}/buildkit`;
    const read = (file: string) => readFile(path.join(group, file), 'utf8').then(text => text.trim());
    assert.deepEqual(
      [await read('cpu.cfs_quota_us'), await read('cpu.cfs_period_us'), await read('cpu.shares')],
      ['100000', '100000', '100'],
    );
    const forks = `${from}${mount} for i in $(seq 200); do sleep 20 & done; echo all\n`;
    const { done, lines } = await build({ Dockerfile: forks }, {}, engine);
    await failure(done);
    assert.ok(lines.some(line => /can't fork/.test(line)) && !lines.includes('all'), lines.join('\n'));
    // Two builds at once may use what both may: the same forks go through beside one that may have more.
    const beside = new AbortController();
    const more = { limits: { ...limits, pidsMax: 400 }, signal: beside.signal };
    const other = await build({ Dockerfile: `${from}${mount} echo beside; sleep 300\n` }, more, engine);
    await eventually(() => assert.ok(other.lines.includes('beside')));
    const again = `${from}${mount} for i in $(seq 200); do sleep 1 & done; echo all ${randomUUID()}\n`;
    const through = await build({ Dockerfile: again }, {}, engine);
    await through.done;
    beside.abort(new Error('enough'));
    await assert.rejects(other.done, /enough/);
  });

  test('where its steps cannot be limited that is said, or is a reason not to build', async () => {
    const door = createServer(socket => {
      const engine = connect('/var/run/docker.sock');
      for (const one of [socket, engine]) one.on('error', () => undefined);
      socket.on('close', () => engine.destroy());
      engine.on('close', () => socket.destroy());
      socket.pipe(engine).pipe(socket);
    }).listen(0, '127.0.0.1');
    await once(door, 'listening');
    const log = openLogger({ level: 'silent' });
    const host = `tcp://127.0.0.1:${(door.address() as AddressInfo).port}`;
    const remote = (buildkit: 'auto' | 'capped') =>
      alone(openDocker({ host, instance, builds: { buildkit }, log }));
    const { done, lines } = await build({ Dockerfile: `${from}${mount} true\n` }, {}, remote('auto'));
    await done;
    assert.match(lines[0] ?? '', /held to no limit of memory and CPU: the engine is not on this machine/);
    const refused = await build({ Dockerfile: `${from}${mount} true\n` }, {}, remote('capped'));
    assert.match(
      (await failure(refused.done)).reason,
      /needs BuildKit for RUN --mount, and the engine is not on this machine/,
    );
    await (await build({ Dockerfile: from }, {}, remote('capped'))).done;
    door.close();
    const off = alone(openDocker({ instance, builds: { buildkit: 'off' }, log }));
    const { reason, retryable } = await failure(
      (await build({ Dockerfile: `${from}${mount} true\n` }, {}, off)).done,
    );
    assert.equal(reason, 'This Dockerfile needs BuildKit for RUN --mount, which is off here.');
    assert.equal(retryable, false);
  });

  test('a secret is there for its step alone: in no layer, no history, no line of its own', async () => {
    const value = `s3cret-${randomUUID()}`;
    const dockerfile = [
      from.trim(),
      `RUN --mount=type=secret,id=token test ${randomUUID()} && sha256sum /run/secrets/token > /sum`,
      'RUN test ! -s /run/secrets/token',
    ].join('\n');
    const secrets = new Map([['token', { value, version: 1 }]]);
    const { done, lines } = await build({ Dockerfile: dockerfile }, { secrets });
    const { imageId } = await done;
    assert.match(await output(imageId, 'cat', '/sum'), new RegExp(`^${sumOf(value)}`));
    assert.ok(!lines.join('\n').includes(value));
    const chunks: Buffer[] = [];
    for await (const chunk of await api.getImage(imageId).get()) chunks.push(Buffer.from(chunk));
    const saved = Buffer.concat(chunks);
    assert.ok(saved.length > 1_000_000 && !saved.includes(value), 'docker save holds the secret');
    assert.ok(!JSON.stringify(await api.getImage(imageId).history()).includes(value));
  });

  test('a step with secrets is taken from the cache of the same app with the same secrets only', async () => {
    const step = `RUN --mount=type=secret,id=token test ${randomUUID()} && sha256sum /run/secrets/token > /sum`;
    const files = { Dockerfile: `${from}${step}\n` };
    const made = async (app: string, value: string, version: number) => {
      const labels = { [labelOf.app]: app };
      const { done } = await build(files, { labels, secrets: new Map([['token', { value, version }]]) });
      return (await output((await done).imageId, 'cat', '/sum')).slice(0, 64);
    };
    assert.equal(await made('mine', 'first', 1), sumOf('first'));
    assert.equal(await made('mine', 'not looked at', 1), sumOf('first'));
    assert.equal(await made('mine', 'second', 2), sumOf('second'));
    assert.equal(await made('others', 'others have another', 1), sumOf('others have another'));
  });

  test('what steps keep for each other in a cache is not shared with other apps', async () => {
    const id = randomUUID();
    const keep = (word: string) => ({
      Dockerfile: `${from}RUN --mount=type=cache,id=${id},target=/c cat /c/* > /seen; echo ${word} > /c/${word}; true\n`,
    });
    const seen = async (app: string, word: string) => {
      const { done } = await build(keep(word), { labels: { [labelOf.app]: app } });
      return output((await done).imageId, 'cat', '/seen');
    };
    assert.equal(await seen('mine', 'one'), '');
    assert.equal(await seen('others', 'two'), '');
    assert.equal(await seen('mine', 'three'), 'one\n');
  });

  test('a secret that is not there fails the step that needs it, by name', async () => {
    const needs = `${from}RUN --mount=type=secret,id=absent,required=true cat /run/secrets/absent\n`;
    const { reason, step, retryable } = await failure((await build({ Dockerfile: needs })).done);
    assert.equal(reason, 'The build secret "absent" is not set for this source of the app');
    assert.deepEqual([step, retryable], [2, false]);
    const may = `${from}RUN --mount=type=secret,id=absent test ! -e /run/secrets/absent\n`;
    await (await build({ Dockerfile: may })).done;
  });

  test('newer words are written in older ones: here-documents and --link, by whichever builder', async () => {
    const words = [
      'ENV NAME=me',
      'RUN <<EOF',
      'echo "one $NAME" > /a',
      'echo two >> /a',
      'EOF',
      'RUN cat <<-"END" > /b',
      '\t$NAME stays',
      '\tEND',
      'RUN <<EOF',
      '#!/bin/sh -e',
      'echo "script $0" > /c',
      'EOF',
      'COPY --link <<"ONE" <<TWO /d/',
      '$NAME stays',
      'ONE',
      'plain',
      'TWO',
      'COPY --link file /e',
    ].join('\n');
    const show = ['sh', '-c', 'cat /a /b /d/ONE /d/TWO /e; cut -c1-6 /c'];
    for (const [extra, kind] of [
      ['', 'classic'],
      [`\n${mount} true`, 'buildkit'],
    ]) {
      const { done } = await build({ Dockerfile: `${from}${words}${extra}\n`, file: 'linked\n' });
      const { imageId, papers } = await done;
      assert.equal(papers.builder.kind, kind);
      const said = await output(imageId, ...show);
      assert.equal(said, 'one me\ntwo\n$NAME stays\n$NAME stays\nplain\nlinked\nscript\n');
    }
  });

  test('a line without end is cut, and a slow reader holds the build up', async () => {
    const long = "yes 0123456789 | tr -d '\\n' | head -c 30000; echo";
    const flood = `${from}${mount} test ${randomUUID()}; ${long}; yes line | head -n 2000\n`;
    let waiting = 0;
    let waitingMax = 0;
    let lines = 0;
    let lineCharsMax = 0;
    const onLine = async (line: string) => {
      waiting += 1;
      waitingMax = Math.max(waitingMax, waiting);
      lineCharsMax = Math.max(lineCharsMax, line.length);
      if (line === 'line') lines += 1;
      await null;
      waiting -= 1;
    };
    await (await build({ Dockerfile: flood }, { onLine })).done;
    assert.deepEqual([lines, waitingMax, lineCharsMax], [2_000, 1, 8_192 + ' …'.length]);
  });
});
