import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';

/** Below these are the ports that only privileged programs, or many programs by custom, listen on. */
const lowest = 10_000;
const attemptsMax = 50;

/**
 * A TCP port of this machine that nobody listens on just now. It is one that the system gives to no outgoing connection
 * (ip_local_port_range in ip(7)), so what is started in a moment will find it free.
 */
export async function freePort(host = '127.0.0.1'): Promise<number> {
  const end = firstOutgoing();
  for (let attempt = 0; attempt < attemptsMax && end > lowest; attempt += 1) {
    const port = lowest + Math.floor(Math.random() * (end - lowest));
    try {
      return await probe(port, host);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    }
  }
  return probe(0, host);
}

function firstOutgoing(): number {
  try {
    return Number.parseInt(readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8'), 10);
  } catch {
    // Where there is none: the range of RFC 6335, 6.
    return 49_152;
  }
}

async function probe(port: number, host: string): Promise<number> {
  const server = createServer().listen(port, host);
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no TCP port is free');
  return address.port;
}
