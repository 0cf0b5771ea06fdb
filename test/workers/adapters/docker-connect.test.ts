/** What is said to an engine that dies while it answers. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { after, suite, test } from 'node:test';
import Dockerode from 'dockerode';
import { connectTo } from '../../../workers/adapters/docker-connect.ts';

const timeout = 10_000;
const folder = mkdtempSync(path.join(os.tmpdir(), 'apphub-test-connect-'));
after(() => rmSync(folder, { recursive: true, force: true }));

/** It ends its connections where half of an answer is sent; asked for anything else it answers. */
function dyingEngine(): Server {
  return createServer((request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    if (request.url?.includes('/nodes')) response.write('[{"ID":', () => response.socket?.destroy());
    else response.end('[]');
  });
}

suite('an engine that dies in the midst of an answer', { timeout }, () => {
  for (const kind of ['unix', 'tcp']) {
    test(`fails who has asked, over ${kind}`, { timeout }, async t => {
      const server = dyingEngine();
      t.after(() => {
        server.close();
        server.closeAllConnections();
      });
      const socket = path.join(folder, 'docker.sock');
      server.listen(...((kind === 'unix' ? [socket] : [0, '127.0.0.1']) as [number, string]));
      await once(server, 'listening');
      const url =
        kind === 'unix' ? `unix://${socket}` : `tcp://127.0.0.1:${(server.address() as AddressInfo).port}`;
      const engine = new Dockerode(connectTo({ url }));
      assert.deepEqual(await engine.listContainers(), []);
      await assert.rejects(engine.listNodes(), { code: 'ECONNRESET' });
      assert.deepEqual(await engine.listContainers(), []);
    });
  }
});
