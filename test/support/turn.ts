/** For test files that would disturb each other: what there is once on a machine is had by one of them at a time. */
import { once } from 'node:events';
import net from 'node:net';
import { after, before } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';

const lookEveryMs = 100;

/**
 * The tests of this file wait until no other file has this, and have it until they have ended. It is a socket without a file,
 * which the kernel takes back from a process that dies.
 */
export function takeTurns(name: string): void {
  let socket: net.Server | undefined;
  before(async () => {
    while (socket === undefined) socket = await listen(`\0apphub-test-${name}`);
  });
  after(() => void socket?.close());
}

async function listen(name: string): Promise<net.Server | undefined> {
  const server = net.createServer();
  try {
    await once(server.listen(name), 'listening');
    return server;
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EADDRINUSE')) throw error;
    await wait(lookEveryMs);
    return undefined;
  }
}
