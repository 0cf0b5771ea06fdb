/** The proxy before running apps, on a listening server, and apps behind it that do what a test tells them. */
import { once } from 'node:events';
import {
  createServer,
  type IncomingHttpHeaders,
  type RequestListener,
  request,
  type Server,
} from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import type { Duplex } from 'node:stream';
import { type PreviewProxyOptions, previewProxy, type Upstream } from '../../platform/preview-proxy.ts';
import { openServer } from '../../platform/server.ts';

export type Visited = { status: number; headers: IncomingHttpHeaders; rawHeaders: string[]; text: string };

export async function startPreview(options: Partial<PreviewProxyOptions> = {}) {
  const upstreams = new Map<string, Upstream>();
  const logged: string[] = [];
  const note = (_detail: object, line: string) => void logged.push(line);
  const proxy = previewProxy({
    domain: 'preview.localhost',
    resolve: async launchId => upstreams.get(launchId),
    log: { debug: () => undefined, info: note, warn: note, error: note } as never,
    ...options,
  });
  const server = openServer((incoming, response) => {
    if (proxy.matches(incoming)) proxy.handleRequest(incoming, response);
    else response.end('the platform itself');
  });
  server.on('upgrade', (incoming, socket, head) => {
    if (proxy.matches(incoming)) proxy.handleUpgrade(incoming, socket, head);
    else socket.destroy();
  });
  const port = await listen(server);
  const apps: Server[] = [];
  return {
    port,
    proxy,
    logged,
    upstreams,
    /** An app under this name. */
    async app(
      name: string,
      listener: RequestListener,
      onUpgrade?: (incoming: unknown, socket: Duplex, head: Buffer) => void,
    ) {
      const app = createServer(listener);
      if (onUpgrade !== undefined) app.on('upgrade', onUpgrade);
      apps.push(app);
      const appPort = await listen(app);
      upstreams.set(name, { host: '127.0.0.1', port: appPort });
      return { server: app, port: appPort };
    },
    /** Asks as a browser would that is shown `http://<name>.preview.localhost:<port>/`. */
    visit(
      name: string,
      path = '/',
      {
        method = 'GET',
        headers = {},
        body,
      }: { method?: string; headers?: Record<string, string | string[]>; body?: string } = {},
    ) {
      return visit(port, path, {
        method,
        headers: { host: `${name}.preview.localhost:${port}`, ...headers },
        body,
      });
    },
    /** Bytes as they are, and all that comes back until the connection ends. */
    raw(bytes: string): Promise<string> {
      return new Promise((resolve, reject) => {
        const socket = connect(port, '127.0.0.1', () => socket.write(bytes));
        let text = '';
        socket.setEncoding('latin1').on('data', (part: string) => {
          text += part;
        });
        socket.once('close', () => resolve(text));
        socket.once('error', reject);
      });
    },
    async close() {
      proxy.close();
      for (const one of [server, ...apps]) {
        one.closeAllConnections();
        one.close();
      }
    },
  };
}

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

function visit(
  port: number,
  path: string,
  {
    method,
    headers,
    body,
  }: { method: string; headers: Record<string, string | string[]>; body: string | undefined },
): Promise<Visited> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port, path, method, headers, agent: false }, answer => {
      let text = '';
      answer.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      answer.on('end', () =>
        resolve({
          status: answer.statusCode ?? 0,
          headers: answer.headers,
          rawHeaders: answer.rawHeaders,
          text,
        }),
      );
      answer.on('error', reject);
    });
    asked.on('error', reject);
    asked.end(body);
  });
}
