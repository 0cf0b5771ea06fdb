/**
 * The proxy before running apps beside Debian's nginx with one worker, to the same app over kept connections, from the same load
 * generator (autocannon), in turns: what it lets through at most, how late answers are at one rate for both, and what a WebSocket
 * that says nothing costs. The app is a Node server in a process of its own.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { connect, type Socket } from 'node:net';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { freePort } from '../../platform/free-port.ts';
import { inMs, printGoal, printTable, times } from './support/figures.ts';
import { type Bench, withBench } from './support/parts.ts';

const turns = 5;
const seconds = process.argv.includes('--full') ? 8 : 3;
const idleSockets = 1_000;
const sizes = { small: { path: '/', connections: 50 }, large: { path: '/large', connections: 8 } } as const;
type Size = keyof typeof sizes;
/** Of the slower one's most, so that neither is measured by its queue. */
const calmPart = 0.4;

type Run = {
  readonly requests: { readonly average: number };
  readonly latency: { readonly p50: number; readonly p99: number };
  readonly errors: number;
  readonly non2xx: number;
};
type Autocannon = (options: {
  url: string;
  connections: number;
  duration: number;
  headers: Record<string, string>;
  overallRate?: number;
}) => Promise<Run>;

export const bench = () => withBench(measure);

async function measure(bench: Bench): Promise<void> {
  const autocannon = await loadAutocannon();
  const app = await start(bench, 'proxy-app.ts', []);
  const proxies = {
    nginx: await startNginx(bench, app.port),
    apphub: await start(bench, 'proxy-server.ts', [String(app.port)]),
  };
  type Name = keyof typeof proxies;
  const names = Object.keys(proxies) as Name[];
  const ask = async (name: Name, size: Size, overallRate?: number) => {
    const { path: place, connections } = sizes[size];
    const url = `http://127.0.0.1:${proxies[name].port}${place}`;
    const headers = { host: 'app.localhost' };
    const rate = overallRate === undefined ? {} : { overallRate };
    const run = await autocannon({ url, connections, duration: seconds, headers, ...rate });
    if (run.errors > 0 || run.non2xx > 0)
      throw new Error(`${name}: ${run.errors} errors, ${run.non2xx} refusals`);
    return run;
  };
  // Before anything else, as memory that was used once is not given back at once.
  await idle(bench, proxies);
  for (const size of Object.keys(sizes) as Size[]) {
    const most = { nginx: [] as number[], apphub: [] as number[] };
    for (const name of names) await ask(name, size);
    for (let turn = 0; turn < turns; turn += 1)
      for (const name of names) most[name].push((await ask(name, size)).requests.average);
    const [nginx, own] = [median(most.nginx), median(most.apphub)];
    const rate = Math.max(10, Math.round(Math.min(nginx, own) * calmPart));
    const late = { nginx: [] as number[], apphub: [] as number[] };
    for (let turn = 0; turn < turns; turn += 1)
      for (const name of names) late[name].push((await ask(name, size, rate)).latency.p99);
    const p99 = { nginx: median(late.nginx), apphub: median(late.apphub) };
    const what = size === 'small' ? '200 bytes of JSON' : '1 MiB';
    console.log(
      `  ${what}, ${sizes[size].connections} connections, medians of ${turns} turns of ${seconds} s`,
    );
    printTable([
      ['', 'requests a second', 'to nginx', `p99 at ${rate} a second`, 'to nginx'],
      ['nginx, one worker', Math.round(nginx), '1.00 x', inMs(p99.nginx), '1.00 x'],
      [
        'AppHub',
        Math.round(own),
        times(own, nginx),
        inMs(p99.apphub),
        times(p99.apphub, Math.max(1, p99.nginx)),
      ],
    ]);
    printGoal(own >= nginx * 0.5, 'half of what nginx lets through');
    // autocannon tells whole milliseconds.
    printGoal(p99.apphub <= Math.max(1, p99.nginx) * 2, 'p99 at most twice that of nginx');
  }
}

type Started = { readonly port: number; readonly pids: readonly number[] };

/** Sockets that say nothing: what each costs in memory of the proxy, with all of its kinds (RSS). */
async function idle(bench: Bench, proxies: Readonly<Record<string, Started>>): Promise<void> {
  const rows: (string | number)[][] = [['', `RSS before`, `with ${idleSockets} WebSockets`, 'each']];
  for (const [name, { port, pids }] of Object.entries(proxies)) {
    (await openSocket(port)).destroy();
    const before = rssOf(pids);
    const sockets = await Promise.all(Array.from({ length: idleSockets }, () => openSocket(port)));
    bench.onClose(() => sockets.map(socket => socket.destroy()));
    const after = rssOf(pids);
    rows.push([name, mib(before), mib(after), `${((after - before) / idleSockets / 1_024).toFixed(1)} KiB`]);
    for (const socket of sockets) socket.destroy();
  }
  printTable(rows);
}

function openSocket(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('error', reject);
    socket.write(
      'GET /socket HTTP/1.1\r\nhost: app.localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n' +
        'sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
    );
    socket.once('data', part => {
      if (!part.toString('latin1').startsWith('HTTP/1.1 101')) reject(new Error(`no WebSocket: ${part}`));
      else resolve(socket);
    });
  });
}

const mib = (bytes: number) => `${(bytes / 1_048_576).toFixed(1)} MiB`;
const median = (values: readonly number[]) =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

function rssOf(pids: readonly number[]): number {
  const kib = pids.map(pid =>
    Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0),
  );
  return kib.reduce((sum, one) => sum + one, 0) * 1_024;
}

/** One of the servers beside this file, in a process of its own; it says its port once it listens. */
async function start(bench: Bench, file: string, args: readonly string[]): Promise<Started> {
  const child = spawn(process.execPath, [path.join(import.meta.dirname, 'support', file), ...args], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  bench.onClose(() => child.kill('SIGKILL'));
  const [port] = await once(child, 'message');
  return { port: port as number, pids: [child.pid ?? 0] };
}

async function startNginx(bench: Bench, appPort: number): Promise<Started> {
  const nginx = '/usr/sbin/nginx';
  if (!existsSync(nginx)) throw new Error('nginx is not installed (Debian: nginx-light)');
  const port = await freePort();
  const folder = bench.folder;
  const file = path.join(folder, 'nginx.conf');
  const kinds = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  writeFileSync(
    file,
    `worker_processes 1; daemon off; pid ${folder}/nginx.pid; error_log ${folder}/nginx.log;
events { worker_connections 8192; }
http {
  access_log off; keepalive_requests 100000000;
  ${kinds.map(kind => `${kind}_temp_path ${folder}/nginx-${kind};`).join(' ')}
  upstream app { server 127.0.0.1:${appPort}; keepalive 256; keepalive_requests 100000000; }
  map $http_upgrade $upgrade { default upgrade; '' ''; }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://app; proxy_http_version 1.1; proxy_read_timeout 600s;
      proxy_set_header Connection $upgrade; proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Host $http_host; proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto http; proxy_set_header X-Forwarded-Host $http_host;
    }
  }
}
`,
  );
  const child = spawn(nginx, ['-c', file], { stdio: ['ignore', 'inherit', 'inherit'] });
  bench.onClose(() => end(child));
  await listens(port);
  const workers = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').trim().split(' ');
  return { port, pids: workers.map(Number) };
}

async function end(child: ChildProcess): Promise<void> {
  child.kill('SIGTERM');
  if (child.exitCode === null) await once(child, 'exit');
}

async function listens(port: number): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const isUp = await new Promise<boolean>(resolve => {
      const asked = http.get({ host: '127.0.0.1', port, agent: false }, answer => {
        answer.resume();
        resolve(true);
      });
      asked.on('error', () => resolve(false));
    });
    if (isUp) return;
    await new Promise(resolve => setTimeout(resolve, 50));
  }
  throw new Error('nginx does not start');
}

/** Installs the load generator beside the benchmarks where it is not there yet. */
async function loadAutocannon(): Promise<Autocannon> {
  const folder = import.meta.dirname;
  const entry = path.join(folder, 'node_modules/autocannon/autocannon.js');
  if (!existsSync(entry)) execFileSync('npm', ['ci', '--ignore-scripts'], { cwd: folder, stdio: 'inherit' });
  return ((await import(pathToFileURL(entry).href)) as { default: Autocannon }).default;
}
