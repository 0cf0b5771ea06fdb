/** A connection to a server that a test can cut: the server is there, but cannot be reached. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export type Between = {
  /** The same server, by way of here. */
  readonly url: string;
  /** Connections that were turned away while it was cut. */
  refused(): number;
  cut(): void;
  mend(): void;
  close(): void;
};

export async function openBetween(url: string): Promise<Between> {
  const to = new URL(url);
  const sockets = new Set<Socket>();
  let isCut = false;
  let refused = 0;
  const server = createServer(socket => {
    socket.on('error', () => undefined);
    if (isCut) {
      refused += 1;
      socket.destroy();
      return;
    }
    const onward = connect(Number(to.port), to.hostname);
    for (const one of [socket, onward]) {
      sockets.add(one);
      one.on('error', () => undefined);
      one.once('close', () => {
        sockets.delete(one);
        socket.destroy();
        onward.destroy();
      });
    }
    socket.pipe(onward).pipe(socket);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const through = new URL(url);
  through.hostname = '127.0.0.1';
  through.port = String((server.address() as AddressInfo).port);
  const cut = () => {
    isCut = true;
    for (const socket of sockets) socket.destroy();
  };
  return {
    url: through.href,
    refused: () => refused,
    cut,
    mend() {
      isCut = false;
    },
    close() {
      cut();
      server.close();
    },
  };
}
