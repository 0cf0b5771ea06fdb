/** The app behind both proxies, in a process of its own: small and large answers, and WebSockets that say nothing. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

const small = Buffer.from(
  JSON.stringify({ hello: 'world', numbers: Array.from({ length: 60 }, (_, at) => at) }),
);
const large = Buffer.alloc(1 << 20, 'x');

const server = createServer((request, response) => {
  const isLarge = request.url === '/large';
  const body = isLarge ? large : small;
  response.writeHead(200, {
    'content-type': isLarge ? 'application/octet-stream' : 'application/json',
    'content-length': body.length,
    'cache-control': 'no-store',
  });
  response.end(body);
});
server.on('upgrade', (_request, socket) => {
  socket.on('error', () => socket.destroy()).resume();
  socket.write('HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n');
});
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));
process.once('disconnect', () => process.exit());
