/** The product's proxy before one public launch, in a process of its own, as a room alone has it. */
import type { AddressInfo } from 'node:net';
import { openGrants } from '../../../platform/preview-grant.ts';
import { previewProxy } from '../../../platform/preview-proxy.ts';
import type { Target } from '../../../platform/preview-target.ts';
import { openServer } from '../../../platform/server.ts';

const port = Number(process.argv[2]);
const target: Target = {
  launchId: 'app',
  access: 'public',
  linkEpoch: 0,
  state: 'up',
  host: '127.0.0.1',
  port,
};
const silent = () => undefined;
const proxy = previewProxy({
  domain: 'localhost',
  finder: { find: () => target, look: async () => target, moved: async () => undefined },
  grants: openGrants(['a secret of the benchmark']),
  wake: async () => undefined,
  activity: { visit: silent, stay: () => silent },
  log: { debug: silent, info: silent, warn: console.warn, error: console.error } as never,
});
const server = openServer((request, response) => proxy.handleRequest(request, response), {
  seesToBodies: true,
});
server.on('upgrade', (request, socket, head) => proxy.handleUpgrade(request, socket, head));
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));
process.once('disconnect', () => process.exit());
