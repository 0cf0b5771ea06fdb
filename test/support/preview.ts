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
import { type Grant, openGrants } from '../../platform/preview-grant.ts';
import { type PreviewProxyOptions, previewProxy } from '../../platform/preview-proxy.ts';
import type { Coming, Finder, Place, Target } from '../../platform/preview-target.ts';
import { openServer } from '../../platform/server.ts';

export type Visited = { status: number; headers: IncomingHttpHeaders; rawHeaders: string[]; text: string };
type Asked = { method?: string; headers?: Record<string, string | string[]>; body?: string };
/** What a browser says when somebody goes to a page in it. */
export const asBrowser = {
  accept: 'text/html,*/*;q=0.8',
  'sec-fetch-mode': 'navigate',
  'sec-fetch-dest': 'document',
};

export const grants = openGrants(['a secret of the tests']);

/** What is known of launches, as a test says it. */
export function playFinder() {
  const targets = new Map<string, Target>();
  const waiting = new Set<() => void>();
  const finder: Finder = {
    find: name => targets.get(name),
    look: async name => targets.get(name),
    async moved(msMax) {
      const { promise, resolve } = Promise.withResolvers<void>();
      waiting.add(resolve);
      const timer = setTimeout(resolve, msMax).unref();
      await promise;
      clearTimeout(timer);
      waiting.delete(resolve);
    },
  };
  return {
    finder,
    targets,
    set(name: string, target: Target) {
      targets.set(name, target);
      for (const resolve of waiting) resolve();
    },
  };
}

const of = (launchId: string) => ({ launchId, access: 'public', linkEpoch: 0 }) as const;
export const upAt = (launchId: string, place: Place): Target => ({ ...of(launchId), state: 'up', ...place });
export const comingUp = (launchId: string, more: Partial<Coming> = {}): Coming => ({
  ...of(launchId),
  state: 'coming',
  isAsleep: false,
  deployment: 1,
  title: 'Starting',
  message: 'The app is coming up.',
  ...more,
});
export const isOver = (launchId: string): Target => ({
  ...of(launchId),
  state: 'over',
  title: 'Stopped',
  message: 'This launch was stopped.',
});

export async function startPreview(options: Partial<PreviewProxyOptions> = {}) {
  const logged: string[] = [];
  const visits: string[] = [];
  const staying = new Map<string, number>();
  const note = (_detail: object, line: string) => void logged.push(line);
  const play = playFinder();
  const proxy = previewProxy({
    domain: 'localhost',
    finder: play.finder,
    grants,
    wake: async () => undefined,
    activity: {
      visit: id => void visits.push(id),
      stay: id => {
        staying.set(id, (staying.get(id) ?? 0) + 1);
        return () => staying.set(id, (staying.get(id) ?? 0) - 1);
      },
    },
    log: { debug: () => undefined, info: note, warn: note, error: note } as never,
    ...options,
  });
  const server = openServer(
    async (incoming, response) => {
      if (await proxy.matches(incoming)) proxy.handleRequest(incoming, response);
      else response.end('the platform itself');
    },
    { seesToBodies: true },
  );
  server.on('upgrade', (incoming, socket, head) => {
    if (proxy.matches(incoming)) proxy.handleUpgrade(incoming, socket, head);
    else socket.destroy();
  });
  const port = await listen(server);
  const apps: Server[] = [];
  return {
    port,
    proxy,
    server,
    logged,
    visits,
    staying,
    play,
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
      play.set(name, upAt(name, { host: '127.0.0.1', port: appPort }));
      return { server: app, port: appPort };
    },
    /** A grant for the launch of this name, good for a minute unless it says otherwise. */
    grant(launchId: string, more: Partial<Grant> = {}): string {
      const expiresAtSeconds = Math.ceil(Date.now() / 1_000) + 60;
      return grants.make({ launchId, kind: 'session', expiresAtSeconds, linkEpoch: 0, linkId: '', ...more });
    },
    /** Asks as a program would that knows of `http://<name>.localhost:<port>/`. */
    visit(name: string, path = '/', { method = 'GET', headers = {}, body }: Asked = {}) {
      return visit(port, path, { method, headers: { host: `${name}.localhost:${port}`, ...headers }, body });
    },
    /** Bytes as they are, and all that comes back until the connection ends. */
    raw(bytes: string): Promise<string> {
      return new Promise((resolve, reject) => {
        const socket = connect(port, '127.0.0.1', () => socket.write(bytes, 'latin1'));
        let text = '';
        socket.setEncoding('latin1').on('data', (part: string) => {
          text += part;
        });
        socket.once('close', () => resolve(text));
        socket.once('error', reject);
      });
    },
    async close() {
      for (const one of [server, ...apps]) {
        one.closeAllConnections();
        one.close();
      }
      await proxy.close();
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
  { method, headers, body }: Required<Omit<Asked, 'body'>> & { body: string | undefined },
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
