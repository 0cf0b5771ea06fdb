import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { labelOf } from '../../../workers/adapters/docker-labels.ts';
import {
  type ContainerDeath,
  LaunchFailure,
  type StartContainerRequest,
  type StartedContainer,
} from '../../../workers/adapters/docker-types.ts';
import { openTestDocker, startRequest } from '../../support/docker.ts';
import { busyboxImage, ensureTestImages, nodeImage } from '../../support/images.ts';

const { api, docker, instance, imageOf: testImageOf, inside, cleanUp } = openTestDocker();
const never = new AbortController().signal;

/** An image that runs this as its command. */
const imageOf = (name: string, command: string[], base = busyboxImage) =>
  testImageOf(name, `FROM ${base}`, `CMD ${JSON.stringify(command)}`);

let count = 0;
function requestFor(image: string, changes: Partial<StartContainerRequest> = {}): StartContainerRequest {
  count += 1;
  const env = [{ key: 'GREETING', value: 'a b=$HOME "c"' }];
  return startRequest(`${instance}-${count}`, image, { env, ...changes });
}

const ready = (started: StartedContainer, timeoutMs = 20_000) =>
  docker.waitUntilReady({ ...started, timeoutMs, signal: never });

async function failure(done: Promise<unknown>): Promise<LaunchFailure> {
  const error = await done.then(
    () => assert.fail('the launch went through'),
    error => error,
  );
  assert.ok(error instanceof LaunchFailure, `${error}`);
  return error;
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (!(await condition())) {
    assert.ok(performance.now() < deadline, 'it never came');
    await wait(25);
  }
}

async function textOf(chunks: AsyncIterable<Uint8Array>): Promise<string> {
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  return Buffer.concat(parts).toString('utf8');
}

suite('launching', () => {
  let server = '';
  before(async () => {
    await ensureTestImages();
    const serve =
      'mkdir -p /tmp/www; echo "$GREETING" >/tmp/www/index.html; echo out; echo err >&2; exec httpd -f -v -p $PORT -h /tmp/www';
    server = await imageOf('server', ['sh', '-c', serve]);
  });
  after(cleanUp);

  test('runs the app, answers, and is removed with all it had', async () => {
    const request = requestFor(server);
    const started = await docker.startContainer(request);
    await ready(started);
    const answer = await fetch(`http://${started.host}:${started.hostPort}/`);
    assert.equal(await answer.text(), 'a b=$HOME "c"\n');

    const { launchId } = request;
    const { containerId, engine } = started;
    const made = { launchId, deployment: 1, appId: 'hello', buildId: 'b1', eventId: 'e1' };
    const has = { memoryBytes: 64 * 1024 * 1024, cpus: 0.5 };
    const found = { ...made, ...has, state: 'running', containerId, engine, hostPort: null };
    const [one, ...others] = await docker.listLaunches();
    assert.ok(Math.abs(Date.now() - Date.parse(one?.startedAt ?? '')) < 60_000, one?.startedAt);
    assert.deepEqual([one, ...others], [{ ...found, startedAt: one?.startedAt }]);
    await docker.removeLaunch(request.launchId);
    assert.deepEqual(await docker.listLaunches(), []);
    assert.deepEqual(await docker.listNetworks(), []);
    await docker.removeLaunch(request.launchId);
  });

  test('has a bridge of another name where the engine holds its own for taken', async t => {
    const bridgesOf = async (launchId: string) => {
      const all = await api.listNetworks({ filters: { label: [`${labelOf.launch}=${launchId}`] } });
      return all.map(({ Options }) => Options?.['com.docker.network.bridge.name'] ?? '');
    };
    const request = requestFor(server);
    await docker.startContainer(request);
    const [bridge = ''] = await bridgesOf(request.launchId);
    await docker.removeLaunch(request.launchId);
    // As an engine does that was killed while it made the network: it knows of none, and gives the name to nobody.
    const other = await api.createNetwork({
      Name: `${instance}-ghost`,
      Labels: { [labelOf.instance]: instance },
      Options: { 'com.docker.network.bridge.name': bridge },
    });
    t.after(() => other.remove());
    await ready(await docker.startContainer(request));
    const [another = '', ...more] = await bridgesOf(request.launchId);
    assert.deepEqual([another === bridge, another.slice(0, 3), more], [false, bridge.slice(0, 3), []]);
    await docker.removeLaunch(request.launchId);
  });

  test('cannot reach another launch', async () => {
    const hello = 'require("http").createServer((q, s) => s.end("hello")).listen(8080)';
    const image = await imageOf('hello', ['node', '-e', hello], nodeImage);
    const [one, other] = [requestFor(image), requestFor(image)];
    const [from, to] = [await docker.startContainer(one), await docker.startContainer(other)];
    await Promise.all([ready(from), ready(to)]);
    const { NetworkSettings: network } = await api.getContainer(to.containerId).inspect();
    const address = Object.values(network.Networks)[0]?.IPAddress ?? '';
    const get = (host: string) => {
      const script = `fetch("http://${host}:8080/", { signal: AbortSignal.timeout(1500) })
        .then(answer => answer.text()).catch(() => "none").then(console.log)`;
      return inside(from.containerId, 'node', '-e', script);
    };
    assert.equal(await (await fetch(`http://${address}:8080/`)).text(), 'hello');
    assert.match(await get('127.0.0.1'), /hello/);
    assert.match(await get(address), /none/);
    await Promise.all([one, other].map(({ launchId }) => docker.removeLaunch(launchId)));
  });

  test('the same launch twice is one container, also at the same time', async () => {
    const request = requestFor(server);
    const all = await Promise.all([1, 2, 3, 4].map(() => docker.startContainer(request)));
    all.push(await docker.startContainer(request));
    assert.equal(new Set(all.map(({ containerId, hostPort }) => `${containerId} ${hostPort}`)).size, 1);
    assert.equal((await docker.listLaunches()).length, 1);
    await docker.removeLaunch(request.launchId);
  });

  test('an app that dies fails with its exit code and last words, and is not run again', async () => {
    const image = await imageOf('dies', [
      'sh',
      '-c',
      "sleep 0.3; printf '\\033[31mred\\033[0m\\n'; sleep 0.2; echo bye >&2; exit 7",
    ]);
    const request = requestFor(image);
    const dead = await failure(docker.startContainer(request).then(started => ready(started)));
    assert.equal(dead.exitCode, 7);
    assert.equal(
      dead.reason,
      'The app ended by itself with exit code 7. Its image would run as root, and it was run as an ordinary user',
    );
    assert.deepEqual(dead.lastLines, ['red', 'bye']);
    const again = await failure(docker.startContainer(request));
    assert.equal(again.exitCode, 7);
    assert.equal((await docker.listLaunches())[0]?.state, 'ended');
    await docker.removeLaunch(request.launchId);
  });

  test('an app that never listens is not ready', async () => {
    const image = await imageOf('silent', ['sh', '-c', 'echo waiting; exec sleep 1000']);
    const request = requestFor(image);
    const silent = await failure(ready(await docker.startContainer(request), 700));
    assert.equal(silent.reason, 'The app did not answer on its port within 0.7 s');
    assert.equal(silent.exitCode, null);
    assert.deepEqual(silent.lastLines, ['waiting']);
    await docker.removeLaunch(request.launchId);
  });

  test('an app that listens late is ready then; waiting can be given up', async () => {
    const late = 'setTimeout(() => require("http").createServer((q, s) => s.end("hi")).listen(8080), 700)';
    const image = await imageOf('late', ['node', '-e', late], nodeImage);
    const request = requestFor(image);
    const started = await docker.startContainer(request);
    const impatient = AbortSignal.timeout(100);
    await assert.rejects(docker.waitUntilReady({ ...started, timeoutMs: 20_000, signal: impatient }));
    await ready(started);
    assert.equal(await (await fetch(`http://${started.host}:${started.hostPort}/`)).text(), 'hi');
    await docker.removeLaunch(request.launchId);
  });

  test('words that are not HTTP are an answer too', async () => {
    const words = 'require("net").createServer(s => s.end("220 hello\\r\\n")).listen(8080)';
    const request = requestFor(await imageOf('words', ['node', '-e', words], nodeImage));
    await ready(await docker.startContainer(request));
    await docker.removeLaunch(request.launchId);
  });

  test('an app that ends well before it was ever asked has failed all the same', async () => {
    const request = requestFor(await imageOf('well', ['sh', '-c', 'echo done; exit 0']));
    const ended = await failure(docker.startContainer(request).then(started => ready(started)));
    assert.deepEqual(
      [ended.reason, ended.exitCode, ended.lastLines],
      ['The app ended by itself with exit code 0', 0, ['done']],
    );
    await docker.removeLaunch(request.launchId);
  });

  test('an app that answers letter by letter is there, and is not waited for to the end', async () => {
    const slow =
      'require("net").createServer(s => { s.on("error", () => {}); s.write("HTTP/1.1 200 OK\\r\\n");' +
      ' setInterval(() => s.write("x"), 300).unref(); }).listen(8080)';
    const request = requestFor(await imageOf('slow', ['node', '-e', slow], nodeImage));
    await ready(await docker.startContainer(request));
    await docker.removeLaunch(request.launchId);
  });

  test('what cannot run says why and leaves nothing', async () => {
    const gone = await failure(docker.startContainer(requestFor(`sha256:${'0'.repeat(64)}`)));
    assert.equal(gone.reason, 'The image of this build is no longer there');
    assert.equal(gone.retryable, false);
    const tiny = await failure(docker.startContainer(requestFor(server, { memoryBytes: 1 })));
    assert.match(tiny.reason, /memory limit/i);
    assert.equal(tiny.retryable, false);
    assert.deepEqual(await docker.listLaunches(), []);
    const nothing = requestFor(await imageOf('nothing', ['/no/such/thing']));
    const notFound = await failure(docker.startContainer(nothing).then(started => ready(started)));
    assert.match(
      notFound.reason,
      /^The app ended by itself with exit code 127: its command was not found\. /,
    );
    await docker.removeLaunch(nothing.launchId);
    const wrong = requestFor(server, { launchId: '../x' });
    await assert.rejects(docker.startContainer(wrong), /not the id of a launch/);
    const label = [`${labelOf.instance}=${instance}`];
    const networks = await api.listNetworks({ filters: { label } });
    assert.deepEqual(
      networks.filter(({ Name: name }) => name.includes('..')),
      [],
    );
  });

  test('the output is given back as written, to the last lines and as it comes', async () => {
    const image = await imageOf('talks', [
      'sh',
      '-c',
      'for i in 1 2 3; do echo line $i; done; sleep 0.5; echo late; exec sleep 1000',
    ]);
    const { launchId } = await docker.startContainer(requestFor(image)).then(() => requestOfLast());
    await until(async () => (await textOf(docker.containerLogs(launchId))).includes('late'));
    assert.equal(await textOf(docker.containerLogs(launchId)), 'line 1\nline 2\nline 3\nlate\n');
    assert.equal(await textOf(docker.containerLogs(launchId, { tail: 2 })), 'line 3\nlate\n');

    const stop = new AbortController();
    const followed = textOf(docker.containerLogs(launchId, { follow: true, tail: 1, signal: stop.signal }));
    await wait(50);
    stop.abort();
    await followed;
    const ended = textOf(docker.containerLogs(launchId, { follow: true, tail: 1 }));
    await docker.removeLaunch(launchId);
    assert.equal(await ended, 'late\n');
    assert.equal(await textOf(docker.containerLogs(launchId)), '');
  });

  test('deaths are told: those before, those while watching, and those for want of memory', async () => {
    const dies = await imageOf('quits', ['sh', '-c', 'exit 5']);
    const hungry = await imageOf('hungry', ['sh', '-c', 'sleep 0.5; tail /dev/zero']);
    const early = requestFor(dies);
    await docker.startContainer(early).catch(() => undefined);
    await until(async () => (await docker.listLaunches())[0]?.state === 'ended');

    const stop = new AbortController();
    const told: ContainerDeath[] = [];
    const watching = (async () => {
      for await (const death of docker.watchDeaths(stop.signal)) told.push(death);
    })();
    const killed = requestFor(hungry);
    try {
      await until(() => told.length === 1);
      await docker.startContainer(killed);
      await until(() => told.length === 2);
    } finally {
      stop.abort();
      await watching;
    }

    assert.deepEqual(
      told.map(({ launchId, exitCode, oomKilled }) => ({ launchId, exitCode, oomKilled })),
      [
        { launchId: early.launchId, exitCode: 5, oomKilled: false },
        { launchId: killed.launchId, exitCode: 137, oomKilled: true },
      ],
    );
    await Promise.all([early, killed].map(({ launchId }) => docker.removeLaunch(launchId)));
  });
});

function requestOfLast(): { launchId: string } {
  return { launchId: `${instance}-${count}` };
}
