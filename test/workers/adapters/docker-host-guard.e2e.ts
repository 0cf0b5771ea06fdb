/** The host is out of reach of launches, by rules that come back, go when asked, and leave those of others alone. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { realpathSync } from 'node:fs';
import net, { type AddressInfo } from 'node:net';
import os from 'node:os';
import { after, before, suite, test } from 'node:test';
import { LaunchFailure } from '../../../workers/adapters/docker-types.ts';
import { openTestDocker, startRequest } from '../../support/docker.ts';
import { startTestEngine, type TestEngine } from '../../support/engine.ts';
import { busyboxImage, ensureTestImages } from '../../support/images.ts';
import { eventually } from '../../support/workers.ts';

/** Rules of its own, so that those of launches beside these tests stay as they are. */
const prefix = 'aht';
const egressPort = 41_280;
const guarded = openTestDocker({ sandbox: { bridgePrefix: prefix, egressPort } });

const rules = (tables = 'iptables') => execFileSync(tables, ['-S']).toString().split('\n');
const ours = (tables = 'iptables') => rules(tables).filter(line => line.includes(`APPHUB-${prefix}`));
/** Guards and networks beside these tests come and go meanwhile: each rule of theirs names a chain or an interface. */
const others = () => rules().filter(line => !line.includes('APPHUB-') && !/ -[io] /.test(line));
/** With each network the engine takes the way into this chain of its own out, and puts it in again. */
const wayOfEngine = '-A FORWARD -j DOCKER-USER';
const ownAddress = () =>
  Object.values(os.networkInterfaces())
    .flatMap(each => each ?? [])
    .find(({ family, internal }) => family === 'IPv4' && !internal)?.address ?? '';

/** A rule about an interface, as those of engines are. */
const ofNobody = ['-i', 'nobody0', '-j', 'DROP'];

const wanted = [
  `-N APPHUB-${prefix}-FWD`,
  `-N APPHUB-${prefix}-IN`,
  `-A INPUT -i ${prefix}+ -j APPHUB-${prefix}-IN`,
  `-A APPHUB-${prefix}-FWD -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN`,
  `-A APPHUB-${prefix}-FWD -j DROP`,
  `-A APPHUB-${prefix}-IN -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT`,
  `-A APPHUB-${prefix}-IN -p tcp -m tcp --dport ${egressPort} -j ACCEPT`,
  `-A APPHUB-${prefix}-IN -j DROP`,
  `-A DOCKER-USER -i ${prefix}+ -j APPHUB-${prefix}-FWD`,
];

suite('the host guard', () => {
  before(() => ensureTestImages());
  after(async () => {
    await guarded.cleanUp();
    await guarded.docker.unguard();
  });

  test('sets its rules in front of all others, and touches no other', async () => {
    const foreign = ['INPUT', '-s', '192.0.2.77/32', '-j', 'DROP'];
    const strangers = [foreign, ...['INPUT', 'FORWARD', 'DOCKER-USER'].map(chain => [chain, ...ofNobody])];
    for (const rule of strangers) execFileSync('iptables', ['-I', ...rule]);
    const isThere = (rule: string[]) => rules().includes(`-A ${rule.join(' ')}`);
    const before = await eventually(() => {
      const found = others();
      assert.ok(found.includes(wayOfEngine), found.join('\n'));
      return found;
    });
    assert.deepEqual(strangers.map(isThere), [true, true, true, true]);
    await guarded.docker.guard();
    assert.deepEqual(ours().toSorted(), wanted.toSorted());
    const input = rules().filter(line => line.startsWith('-A INPUT'));
    assert.ok(input.indexOf(`${wanted[2]}`) < input.indexOf(`-A ${foreign.join(' ')}`), input.join('\n'));
    assert.ok(input.includes(`${wanted[2]}`));
    const six = ours('ip6tables');
    assert.equal(six.length, wanted.length);
    assert.ok(six.includes(`-A APPHUB-${prefix}-IN -j DROP`));
    await eventually(() => assert.deepEqual(others(), before));
    assert.deepEqual(strangers.map(isThere), [true, true, true, true]);
    for (const rule of strangers) execFileSync('iptables', ['-D', ...rule]);
  });

  test('what listens on the host cannot be reached from a launch, with it; without it, it could', async () => {
    const server = net
      .createServer(socket => socket.end('reached'))
      .listen(0, '0.0.0.0')
      .unref();
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const launchId = `${guarded.instance}-1`;
    const image = await guarded.imageOf('sleeps', 'CMD ["sleep", "1000"]');
    const { containerId } = await guarded.docker.startContainer(startRequest(launchId, image));
    const { NetworkSettings: its } = await guarded.api.getContainer(containerId).inspect();
    const gateway = Object.values(its.Networks)[0]?.Gateway ?? '';
    const reach = (address: string) =>
      guarded.inside(containerId, 'sh', '-c', `nc -w 1 ${address} ${port} </dev/null || echo no`);
    for (const address of [gateway, '172.17.0.1', ownAddress()]) {
      assert.match(await reach(address), /no/, address);
    }
    await guarded.docker.unguard();
    assert.match(await reach(gateway), /reached/);
    server.close();
    await guarded.docker.guard();
  });

  test('comes back when somebody has flushed the firewall, or put a rule in front of it', async () => {
    const fresh = () => openTestDocker({ sandbox: { bridgePrefix: prefix, egressPort } }).docker;
    execFileSync('iptables', ['-F', `APPHUB-${prefix}-IN`]);
    execFileSync('iptables', ['-D', 'INPUT', '-i', `${prefix}+`, '-j', `APPHUB-${prefix}-IN`]);
    await fresh().guard();
    assert.deepEqual(ours().toSorted(), wanted.toSorted());
    const careless = ['INPUT', '-i', `${prefix}0`, '-j', 'ACCEPT'];
    execFileSync('iptables', ['-I', ...careless]);
    try {
      await fresh().guard();
      assert.equal(
        rules().find(line => line.startsWith('-A INPUT')),
        wanted[2],
      );
    } finally {
      execFileSync('iptables', ['-D', ...careless]);
    }
    await Promise.all([fresh().guard(), fresh().guard()]);
    assert.deepEqual(ours().toSorted(), wanted.toSorted());
  });

  test('is taken away without a trace', async () => {
    await guarded.docker.unguard();
    assert.deepEqual([...ours(), ...ours('ip6tables')], []);
    await guarded.docker.unguard();
  });
});

suite('the guard of a host that is another one', () => {
  let engine: TestEngine;
  before(async () => {
    await ensureTestImages();
    engine = await startTestEngine();
    await engine.load(busyboxImage);
  });
  after(() => engine.close());

  const remote = (hostGuard = true) =>
    openTestDocker({ api: engine.api, host: engine.host, sandbox: { publish: engine.address, hostGuard } });
  const inHost = (...command: string[]) =>
    execFileSync('nsenter', ['--target', `${engine.home}`, '--net', '--', ...command]).toString();

  test('is set by a container that has the host’s programs, and is gone again', async () => {
    const { docker, api, instance, imageOf, inside, cleanUp } = remote();
    const serve = 'CMD ["sh", "-c", "echo hi >/tmp/index.html; exec httpd -f -p 8080 -h /tmp"]';
    const started = await docker.startContainer(
      startRequest(`${instance}-1`, await imageOf('serves', serve)),
    );
    assert.equal(started.host, engine.address);
    assert.notEqual(started.hostPort, 8080);
    await docker.waitUntilReady({ ...started, timeoutMs: 20_000, signal: new AbortController().signal });
    assert.equal(await (await fetch(`http://${started.host}:${started.hostPort}/`)).text(), 'hi\n');

    const filter = inHost('iptables', '-S');
    assert.match(filter, /-A INPUT -i ahl\+ -j APPHUB-ahl-IN/);
    assert.match(filter, /-A DOCKER-USER -i ahl\+ -j APPHUB-ahl-FWD/);
    const all = await api.listContainers({ all: true });
    assert.deepEqual(
      all.map(({ Id }) => Id),
      [started.containerId],
    );

    // Its network is no closed one, because such a network publishes nothing; the ways out are closed all the same.
    const { NetworkSettings: its } = await api.getContainer(started.containerId).inspect();
    const gateway = Object.values(its.Networks)[0]?.Gateway ?? '';
    const [cable = ''] =
      /[\d.]+(?=\/30)/.exec(execFileSync('ip', ['route', 'get', engine.address]).toString()) ?? [];
    for (const address of [gateway, engine.address, cable || '198.18.0.1', '172.17.0.1']) {
      const tried = await inside(
        started.containerId,
        'sh',
        '-c',
        `nc -w 1 ${address} ${started.hostPort} </dev/null && echo yes`,
      );
      assert.doesNotMatch(tried, /yes/, address);
    }
    await cleanUp();
  });

  test('refuses launches where it cannot be set, unless it is switched off', async () => {
    // A host whose programs cannot be run.
    const { docker, instance, imageOf, cleanUp } = remote();
    const image = await imageOf('sleeps', 'CMD ["sleep", "1000"]');
    const change = (command: string, ...args: string[]) =>
      execFileSync('nsenter', ['--target', `${engine.home}`, '--mount', '--pid', '--', command, ...args]);
    const shell = realpathSync('/bin/sh');
    change('mount', '--bind', '/dev/null', shell);
    try {
      await assert.rejects(docker.startContainer(startRequest(`${instance}-1`, image)), error => {
        assert.ok(error instanceof LaunchFailure);
        assert.match(error.reason, /^The host cannot be guarded from launches, so none is started: /);
        return true;
      });
      assert.deepEqual(await docker.listLaunches(), []);
      const trusting = remote(false);
      const launchId = `${trusting.instance}-1`;
      await trusting.docker.startContainer(startRequest(launchId, image));
      assert.equal((await trusting.docker.listLaunches()).length, 1);
      await trusting.cleanUp();
    } finally {
      change('umount', shell);
      await cleanUp();
    }
  });
});
