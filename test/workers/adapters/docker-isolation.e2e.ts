/**
 * What needs a host of its own to be tried: a resolver on its loopback, which the engine asks with the host's own voice, and the
 * runtime runsc.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, before, suite, test } from 'node:test';
import { LaunchFailure } from '../../../workers/adapters/docker-types.ts';
import { openTestDocker, startRequest } from '../../support/docker.ts';
import { startTestEngine, type TestEngine } from '../../support/engine.ts';
import { busyboxImage, ensureTestImages } from '../../support/images.ts';

/** Prints the name in each question it is asked, and answers none. */
const resolver = `
  const server = require('node:dgram').createSocket('udp4');
  server.on('message', message => console.log(message.toString('latin1').replace(/[^a-z0-9]+/g, '.')));
  server.bind(53, '127.0.0.1', () => console.log('ready'));
`;

suite('on a host whose resolver is its own', () => {
  let engine: TestEngine;
  let its: ReturnType<typeof openTestDocker>;
  const asked: string[] = [];
  const stop = new AbortController();
  const enter = (...spaces: string[]) => ['--target', `${engine.home}`, ...spaces, '--'];
  before(async () => {
    await ensureTestImages();
    engine = await startTestEngine();
    await engine.load(busyboxImage);
    const own =
      'echo nameserver 127.0.0.1 >/run/containerd/resolv; mount --bind /run/containerd/resolv /etc/resolv.conf';
    execFileSync('nsenter', [...enter('--mount', '--pid'), 'sh', '-c', own]);
    const listening = spawn('nsenter', [...enter('--net'), process.execPath, '-e', resolver], {
      stdio: ['ignore', 'pipe', 'inherit'],
      signal: stop.signal,
    });
    listening.on('error', () => undefined);
    listening.stdout.on('data', chunk => asked.push(String(chunk)));
    await once(listening.stdout, 'data');
    its = openTestDocker({ api: engine.api, host: engine.host, sandbox: { publish: engine.address } });
  });
  after(async () => {
    stop.abort();
    await its.cleanUp();
    await engine.close();
  });

  test('what a launch asks for leaves by nobody; from a closed network of the engine alone it would', async () => {
    const image = await its.imageOf('asks', 'CMD ["sleep", "1000"]');
    const { containerId } = await its.docker.startContainer(startRequest(`${its.instance}-1`, image));
    await its.inside(containerId, 'ping', '-c', '1', 'quiet.attacker.example');
    assert.doesNotMatch(asked.join(''), /attacker/);

    const network = await engine.api.createNetwork({ Name: 'closed', Internal: true });
    const alone = await engine.api.createContainer({ Image: image, HostConfig: { NetworkMode: network.id } });
    await alone.start();
    await its.inside(alone.id, 'ping', '-c', '1', 'loud.attacker.example');
    const { Version: version } = await engine.api.version();
    // Engines since 23.0.11, 25.0.5 and 26 keep this to themselves (CVE-2024-29018).
    if (version.startsWith('20.')) assert.match(asked.join(''), /loud\.attacker\.example/);
    assert.doesNotMatch(asked.join(''), /quiet/);
    await alone.remove({ force: true });
  });
});

suite('the runtime runsc', () => {
  let engine: TestEngine;
  let its: ReturnType<typeof openTestDocker>;
  let folder = '';
  before(async () => {
    await ensureTestImages();
    folder = await mkdtemp(path.join(os.tmpdir(), 'apphub-runsc-'));
    // Its own network stack does not know the newest kernels: it is given the container's.
    const program = path.join(folder, 'runsc');
    await writeFile(program, '#!/bin/sh\nexec /usr/bin/runsc --network=host "$@"\n', { mode: 0o755 });
    engine = await startTestEngine({ args: [`--add-runtime=runsc=${program}`] });
    await engine.load(busyboxImage);
    its = openTestDocker({ api: engine.api, host: engine.host, sandbox: { publish: engine.address } });
  });
  after(async () => {
    await its.cleanUp();
    await engine.close();
    await rm(folder, { recursive: true, force: true });
  });

  test('runs an app under a kernel of its own, as confined as any', async () => {
    const serve = 'CMD ["sh", "-c", "uname -r >/tmp/index.html; exec httpd -f -p 8080 -h /tmp"]';
    const image = await its.imageOf('kernel', serve);
    const request = startRequest(`${its.instance}-1`, image, {
      runtime: 'runsc',
      memoryBytes: 128 * 1024 * 1024,
    });
    const started = await its.docker.startContainer(request);
    await its.docker.waitUntilReady({ ...started, timeoutMs: 20_000, signal: new AbortController().signal });
    // Not asked for by HTTP again: of this old runsc on a new kernel, bare as well, half of the connections break off.
    const kernel = await its.inside(started.containerId, 'uname', '-r');
    assert.notEqual(kernel.trim(), execFileSync('uname', ['-r']).toString().trim());
    const { HostConfig } = await engine.api.getContainer(started.containerId).inspect();
    assert.deepEqual([HostConfig.Runtime, HostConfig.ReadonlyRootfs], ['runsc', true]);
    assert.match(await its.inside(started.containerId, 'id'), /uid=65534/);
    assert.match(await its.inside(started.containerId, 'sh', '-c', 'echo x >/x'), /can't create/);
  });

  test('is missed by an app that asks for it on another engine', async () => {
    const plain = openTestDocker();
    const image = await plain.imageOf('plain', 'CMD ["sleep", "1000"]');
    const request = startRequest(`${plain.instance}-1`, image, { runtime: 'runsc' });
    await assert.rejects(plain.docker.startContainer(request), error => {
      assert.ok(error instanceof LaunchFailure);
      assert.match(error.reason, /asks for the runtime runsc, which this engine does not have/);
      return true;
    });
    await plain.cleanUp();
  });
});
