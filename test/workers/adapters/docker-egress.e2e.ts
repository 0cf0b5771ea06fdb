/** A launch with a way out reaches what it may, by its proxy, and nothing else; without one it reaches nothing. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, suite, test } from 'node:test';
import { freePort } from '../../../platform/free-port.ts';
import { LaunchFailure } from '../../../workers/adapters/docker-types.ts';
import { openEgressProxy } from '../../../workers/egress/egress-proxy.ts';
import { openTestDocker, startRequest } from '../../support/docker.ts';
import { ensureTestImages, nodeImage } from '../../support/images.ts';

/** Rules of its own, because each installation on a host has one port. */
const bridgePrefix = 'ahe';

suite('the way out of a launch', () => {
  const outside = http.createServer((request, response) =>
    response.end(`hello from ${request.headers.host}`),
  );
  let port = 0;
  let egressPort = 0;
  let image = '';
  let its: ReturnType<typeof openTestDocker>;
  const open = () => {
    const log = { info: () => undefined };
    const lookup = async () => ['127.0.0.1'];
    return openEgressProxy({ port: egressPort, log, lookup, isAllowedAddress: () => true });
  };
  let proxy: ReturnType<typeof open>;
  before(async () => {
    await ensureTestImages();
    outside.listen(0, '127.0.0.1');
    await once(outside, 'listening');
    port = (outside.address() as AddressInfo).port;
    egressPort = await freePort();
    proxy = open();
    its = openTestDocker({ sandbox: { bridgePrefix, egressPort }, egress: proxy });
    image = await its.imageOf('sleeps', `FROM ${nodeImage}`, 'CMD ["sleep", "1000"]');
  });
  after(async () => {
    outside.close();
    await proxy.end();
    await its.cleanUp();
    await its.docker.unguard();
  });

  let count = 0;
  const start = async (hosts: (string | number)[]) => {
    count += 1;
    const launchId = `${its.instance}-${count}`;
    const egress = hosts.map(String);
    const { containerId } = await its.docker.startContainer(startRequest(launchId, image, { egress }));
    return { launchId, run: (...command: string[]) => its.inside(containerId, ...command) };
  };
  /** A program that knows nothing of a proxy but what its runtime reads in the environment. */
  const get = (url: string) => [
    'node',
    '-e',
    `require("http").get("http://${url}/", { timeout: 2_000 }, async answer => {
      process.stdout.write(answer.statusCode + " ");
      for await (const part of answer) process.stdout.write(part);
    }).on("error", error => console.log(error.code)).on("timeout", () => process.exit(console.log("late")))`,
  ];

  test('is the proxy in its environment, for programs that know nothing of it', async () => {
    const { launchId, run } = await start([`api.example.org:${port}`]);
    assert.equal(await run(...get(`api.example.org:${port}`)), `200 hello from api.example.org:${port}`);
    assert.match(await run(...get('evil.example.org')), /^403 This app may not reach evil/);
    const [denial] = proxy.takeDenials();
    assert.deepEqual(
      [denial?.launchId, denial?.host, denial?.reason],
      [launchId, 'evil.example.org', 'not-allowed'],
    );
    // By itself it reaches neither, nor anybody who would tell it addresses.
    const alone = ['env', '-u', 'NODE_USE_ENV_PROXY', ...get(`api.example.org:${port}`)];
    assert.match(await run(...alone), /^(EAI_AGAIN|ENOTFOUND)/);
    await its.docker.removeLaunch(launchId);
  });

  test('is open to nobody else', async () => {
    const open = await start([`api.example.org:${port}`]);
    const closed = await start([]);
    const address = await open.run('sh', '-c', 'echo -n $http_proxy');
    const proxied = ['env', 'NODE_USE_ENV_PROXY=1', `http_proxy=${address}`];
    const through = [...proxied, ...get(`api.example.org:${port}`)];
    assert.match(await open.run(...through), /^200 hello/);
    assert.match(await closed.run(...through), /^ECONNRESET/);
    assert.doesNotMatch(await closed.run('env'), /PROXY/i);
    await Promise.all([open, closed].map(({ launchId }) => its.docker.removeLaunch(launchId)));
  });

  test('is opened again by a process that finds the launch running', async () => {
    const { launchId, run } = await start([`api.example.org:${port}`]);
    const ask = () => run(...get(`api.example.org:${port}`));
    await proxy.end();
    assert.match(await ask(), /^ECONNREFUSED/);
    assert.deepEqual(await its.docker.protect(), { ok: true });
    assert.match(await ask(), /^200 hello/);
    await its.docker.removeLaunch(launchId);
  });

  test('is missed by an app that asks for one where there is none', async () => {
    const none = openTestDocker({ sandbox: { bridgePrefix, egressPort } });
    const request = startRequest(`${none.instance}-1`, image, { egress: ['api.example.org'] });
    await assert.rejects(none.docker.startContainer(request), error => {
      assert.ok(error instanceof LaunchFailure);
      assert.match(error.reason, /nothing lets it through on this engine/);
      return true;
    });
    const away = openTestDocker({
      sandbox: { bridgePrefix, egressPort, publish: '127.0.0.1' },
      egress: proxy,
    });
    const remote = startRequest(`${away.instance}-1`, image, { egress: ['api.example.org'] });
    await assert.rejects(away.docker.startContainer(remote), /only on an engine of this machine/);
    await Promise.all([none.cleanUp(), away.cleanUp()]);
  });
});
