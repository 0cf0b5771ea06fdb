/**
 * A real Git server for tests: `git http-backend` behind node:http on loopback, for the bare repositories below one folder.
 * It can be made to behave badly: old protocol without single commits, a password, or holding an answer back half-way.
 */
import { spawn } from 'node:child_process';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export type GitServerOptions = {
  /** Folder with bare repositories; `<root>/app.git` is served at `<url>/app.git`. */
  root: string;
  /** Speak only the first protocol and give only what refs point at, as old servers do. */
  isOld?: boolean;
  /** Answer 401 unless this `user:password` comes along. */
  password?: string;
  /** Send this much of each pack and then nothing more, until the client goes away. */
  holdAfterBytes?: number;
};

export type GitServer = {
  url: string;
  /** `METHOD /path?query` of each request so far. */
  requests: string[];
  /** Requests whose answer is not complete and whose client is still there. */
  open(): number;
  close(): Promise<void>;
};

export async function startGitServer(options: GitServerOptions): Promise<GitServer> {
  const requests: string[] = [];
  let open = 0;
  const server = createServer((request, response) => {
    requests.push(`${request.method} ${request.url}`);
    open += 1;
    response.on('close', () => {
      open -= 1;
    });
    answer(options, request, response);
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    open: () => open,
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function answer(options: GitServerOptions, request: IncomingMessage, response: ServerResponse): void {
  const { password } = options;
  const expected = `Basic ${Buffer.from(password ?? '').toString('base64')}`;
  if (password !== undefined && request.headers.authorization !== expected) {
    response.writeHead(401, { 'www-authenticate': 'Basic realm="git"' }).end();
    return;
  }
  const backend = spawn('git', ['http-backend'], { env: cgiVariables(options, request) });
  backend.on('error', () => response.destroy());
  backend.stdin.on('error', () => undefined);
  response.on('close', () => backend.kill());
  request.pipe(backend.stdin);

  let head = Buffer.alloc(0);
  let isBody = false;
  let sentBytes = 0;
  const isPack = request.url?.endsWith('/git-upload-pack') === true;
  const holdAfterBytes = isPack ? (options.holdAfterBytes ?? Infinity) : Infinity;
  const send = (chunk: Buffer) => {
    const rest = chunk.subarray(0, Math.max(0, holdAfterBytes - sentBytes));
    sentBytes += chunk.length;
    if (rest.length > 0) response.write(rest);
  };
  backend.stdout.on('data', (chunk: Buffer) => {
    if (isBody) return send(chunk);
    head = Buffer.concat([head, chunk]);
    const end = head.indexOf('\r\n\r\n');
    if (end === -1) return;
    isBody = true;
    writeHead(response, head.subarray(0, end).toString());
    send(head.subarray(end + 4));
  });
  backend.on('close', () => {
    if (!isBody && !response.headersSent) response.writeHead(500);
    if (sentBytes <= holdAfterBytes) response.end();
  });
}

function writeHead(response: ServerResponse, head: string): void {
  let status = 200;
  for (const line of head.split('\r\n')) {
    const [name = '', value = ''] = line.split(/:\s*(.*)/);
    if (name.toLowerCase() === 'status') status = Number.parseInt(value, 10);
    else response.setHeader(name, value);
  }
  response.writeHead(status);
}

function cgiVariables({ root, isOld }: GitServerOptions, request: IncomingMessage): NodeJS.ProcessEnv {
  const url = new URL(request.url ?? '/', 'http://localhost');
  const header = (name: string) => String(request.headers[name] ?? '');
  const settings = isOld
    ? [['protocol.version', '0']]
    : [
        ['uploadpack.allowReachableSHA1InWant', 'true'],
        ['http.receivepack', 'true'],
      ];
  const config = settings.flatMap(([key, value], n) => [
    [`GIT_CONFIG_KEY_${n}`, key],
    [`GIT_CONFIG_VALUE_${n}`, value],
  ]);
  return {
    PATH: process.env.PATH,
    HOME: root,
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_COUNT: String(settings.length),
    ...Object.fromEntries(config),
    GIT_PROJECT_ROOT: root,
    GIT_HTTP_EXPORT_ALL: '1',
    GIT_PROTOCOL: isOld ? '' : header('git-protocol'),
    PATH_INFO: decodeURIComponent(url.pathname),
    QUERY_STRING: url.search.slice(1),
    REQUEST_METHOD: request.method,
    CONTENT_TYPE: header('content-type'),
    CONTENT_LENGTH: header('content-length'),
    HTTP_CONTENT_ENCODING: header('content-encoding'),
    REMOTE_ADDR: '127.0.0.1',
    REMOTE_USER: 'tester',
  };
}
