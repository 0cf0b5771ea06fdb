/** The whole product for an end-to-end test: `apphub start` as its user starts it, and the Git server it clones from. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { get, type OutgoingHttpHeaders } from 'node:http';
import os from 'node:os';
import path from 'node:path';
import Dockerode from 'dockerode';
import { labelOf } from '../../workers/adapters/docker-labels.ts';
import type { E2E } from './e2e.ts';
import { startGitServer } from './git-server.ts';
import { ensureTestImages } from './images.ts';
import { type Ended, runCli } from './run-cli.ts';
import { makeSampleRepos, type SampleRepos } from './sample-repos.ts';

const outputCharsMax = 200_000;
const startMsMax = 60_000;

export type Answer<T> = { status: number; headers: Headers; body: T };

export type Hub = {
  readonly dataDir: string;
  /** Where page, API, stream and previews are, such as `http://localhost:40123`. Changes with each start. */
  readonly url: string;
  readonly token: string;
  /** Everything written to standard output and error so far. */
  output(): string;
  start(args?: readonly string[]): Promise<void>;
  /** SIGTERM, and the exit code once it is gone. */
  stop(): Promise<number | null>;
  /** SIGKILL: no code of ours runs after it. */
  kill(): Promise<void>;
  /** Asks the API with the operator's token. Throws nothing on a status: the test looks at it. */
  ask<T = unknown>(method: string, path: string, body?: unknown, headers?: object): Promise<Answer<T>>;
  /** The data of an answer that must be a success. */
  get<T>(path: string): Promise<T>;
  /** The field that lets a program in to a private launch. */
  grant(launchId: string): Promise<{ 'x-apphub-grant': string }>;
  /** What a preview answers, as a browser would ask for it: names below `localhost` are this machine (RFC 6761 6.3). */
  visit(previewUrl: string, headers?: OutgoingHttpHeaders): Promise<{ status: number; body: string }>;
  /** The command line against this hub, finding address and token in the data folder. */
  cli(...args: string[]): Promise<Ended>;
};

/** A hub with a data folder of its own, not yet started. Its processes, containers and files go with the test. */
export function makeHub(e2e: E2E, env: Readonly<Record<string, string>> = {}, folderMode = 0o755): Hub {
  const root = mkdtempSync(path.join(os.tmpdir(), 'apphub-e2e-'));
  chmodSync(root, folderMode);
  const dataDir = path.join(root, 'data');
  e2e.registerCleanup('data folder', () => rmSync(root, { recursive: true, force: true }));
  e2e.registerCleanup('containers', () => removeContainers(dataDir));
  const environment = {
    PATH: process.env.PATH ?? '',
    TZ: 'UTC',
    HOME: root,
    PORT: '0',
    APPHUB_DATA_DIR: dataDir,
    LOG_LEVEL: 'warn',
    ...env,
  };
  let child: ChildProcess | undefined;
  let output = '';
  e2e.registerCleanup('hub', async () => {
    const { child: last } = { child };
    if (last === undefined || last.exitCode !== null || last.signalCode !== null) return;
    last.kill('SIGTERM');
    await once(last, 'exit');
  });
  const read = (file: string) => readFileSync(path.join(dataDir, file), 'utf8').trim();
  const end = async (signal: NodeJS.Signals) => {
    if (child === undefined) throw new Error('the hub was never started');
    const exited = once(child, 'exit');
    child.kill(signal);
    const [code] = await exited;
    return code as number | null;
  };
  const hub: Hub = {
    dataDir,
    get url() {
      return read('url');
    },
    get token() {
      return read('operator-token');
    },
    output: () => output,
    async start(args = []) {
      const entry = path.resolve(import.meta.dirname, '../../cli/apphub.js');
      const started = spawn(process.execPath, [entry, 'start', ...args], {
        env: environment,
        cwd: root,
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      child = started;
      let said = '';
      for (const stream of [started.stdout, started.stderr]) {
        stream.setEncoding('utf8').on('data', (text: string) => {
          said += text;
          output = (output + text).slice(-outputCharsMax);
        });
      }
      await e2e.eventually(() => {
        assert.ok(
          started.exitCode !== null || said.includes('AppHub is at '),
          `the hub does not start: ${said}`,
        );
      }, startMsMax);
      if (started.exitCode !== null) throw new Error(`the hub ended with ${started.exitCode}: ${said}`);
    },
    stop: () => end('SIGTERM'),
    kill: async () => void (await end('SIGKILL')),
    async ask<T>(method: string, place: string, body?: unknown, headers = {}) {
      const answer = await fetch(new URL(place, hub.url), {
        method,
        headers: {
          authorization: `Bearer ${hub.token}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const text = await answer.text();
      const isJson = answer.headers.get('content-type')?.includes('json') === true;
      return {
        status: answer.status,
        headers: answer.headers,
        body: (isJson ? JSON.parse(text) : text) as T,
      };
    },
    async get<T>(place: string) {
      const { status, body } = await hub.ask<{ data: T }>('GET', place);
      if (status !== 200) throw new Error(`GET ${place} answered ${status}: ${JSON.stringify(body)}`);
      return body.data;
    },
    async grant(launchId) {
      const { status, body } = await hub.ask<{ data: { url: string } }>(
        'POST',
        `/launches/${launchId}/grants`,
      );
      assert.equal(status, 200, JSON.stringify(body));
      return { 'x-apphub-grant': new URL(body.data.url).searchParams.get('__apphub_grant') ?? '' };
    },
    visit: (previewUrl, headers = {}) => visit(new URL(previewUrl), headers),
    cli: (...args) => runCli(args, { HOME: root, APPHUB_DATA_DIR: dataDir }, root),
  };
  return hub;
}

function visit(
  { host, port, pathname, search }: URL,
  headers: OutgoingHttpHeaders,
): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const asked = get(
      { host: '127.0.0.1', port, path: `${pathname}${search}`, headers: { ...headers, host } },
      answer => {
        let body = '';
        answer.setEncoding('utf8');
        answer.on('data', (text: string) => {
          body += text;
        });
        answer.on('end', () => resolve({ status: answer.statusCode ?? 0, body }));
        answer.on('error', reject);
      },
    );
    asked.on('error', reject);
  });
}

/** A started hub, and the sample repositories at a Git server it can reach. */
export async function startStack(
  e2e: E2E,
  env: Readonly<Record<string, string>> = {},
): Promise<{ hub: Hub; gitUrl: string; repos: SampleRepos }> {
  await ensureTestImages();
  const { gitUrl, repos } = await startSamples(e2e);
  const hub = makeHub(e2e, env);
  await hub.start();
  return { hub, gitUrl, repos };
}

/** The sample repositories over HTTP, as `<gitUrl>/<name>.git`. */
export async function startSamples(e2e: E2E): Promise<{ gitUrl: string; repos: SampleRepos }> {
  const root = mkdtempSync(path.join(os.tmpdir(), 'apphub-repos-'));
  e2e.registerCleanup('repositories', () => rmSync(root, { recursive: true, force: true }));
  const repos = makeSampleRepos(root);
  const server = await startGitServer({ root });
  e2e.registerCleanup('git server', () => server.close());
  return { gitUrl: server.url, repos };
}

/** Everything on the engine that carries this hub's name. Without an engine there is nothing. */
async function removeContainers(dataDir: string): Promise<void> {
  const api = new Dockerode();
  let instance: string;
  try {
    instance = readFileSync(path.join(dataDir, 'instance'), 'utf8').trim();
    await api.ping();
  } catch {
    return;
  }
  const filters = { label: [`${labelOf.instance}=${instance}`] };
  for (const { Id } of await api.listContainers({ all: true, filters })) {
    await api.getContainer(Id).remove({ force: true, v: true });
  }
  for (const { Id } of await api.listNetworks({ filters })) await api.getNetwork(Id).remove();
  const { Volumes: volumes } = await api.listVolumes({ filters });
  for (const { Name } of volumes ?? []) await api.getVolume(Name).remove();
  for (const { Id } of await api.listImages({ filters })) await api.getImage(Id).remove({ force: true });
}
