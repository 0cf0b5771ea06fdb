/** The engines that tests kill: they are apart from this machine's, reach each other where joined, and leave nothing behind. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { runE2E } from '../support/e2e.ts';
import { inside, joinEngines, startTestEngine } from '../support/engine.ts';
import { busyboxImage, ensureTestImages } from '../support/images.ts';

const serve = ['sh', '-c', 'echo hello >/tmp/index.html; exec httpd -f -p 8080 -h /tmp'];
const published = { '8080/tcp': [{ HostIp: '', HostPort: '' }] };

runE2E('an engine of a test: killed and started again, joined to another, and gone', async e2e => {
  await ensureTestImages();
  const [one, other] = await Promise.all([startTestEngine(), startTestEngine()]);
  e2e.registerCleanup('engines', () => Promise.all([one.close(), other.close()]));
  await joinEngines(one, other);
  await inside(one.home, '/bin/busybox', ['ping', '-c', '1', '-W', '5', other.address]);
  await inside(other.home, '/bin/busybox', ['ping', '-c', '1', '-W', '5', one.address]);

  await one.load(busyboxImage);
  await other.load(busyboxImage, one.api);
  const container = await other.api.createContainer({
    Image: busyboxImage,
    Cmd: serve,
    ExposedPorts: { '8080/tcp': {} },
    HostConfig: { PortBindings: published, Init: true },
  });
  await container.start();
  const ports = (await container.inspect()).NetworkSettings.Ports['8080/tcp'];
  const url = `http://${other.address}:${ports?.[0]?.HostPort}/`;
  const hello = async () => (await fetch(url)).text();
  assert.equal(await e2e.eventually(hello), 'hello\n');

  await other.kill();
  await assert.rejects(other.api.ping());
  assert.equal(await hello(), 'hello\n', 'containers go on without their engine');
  await other.start();
  assert.equal((await container.inspect()).State.Running, false, 'and end when it comes back');
  await other.stop();
  await other.start();

  const folder = other.host.slice('unix://'.length);
  await other.close();
  assert.equal(existsSync(folder), false);
  assert.throws(() => process.kill(other.home, 0));
  await one.api.ping();
});
