/** How an engine is spoken to, and what it means when it does not answer. */
import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { inspect } from 'node:util';
import Dockerode from 'dockerode';
import type { EngineTls } from '../../platform/engines-config.ts';
import type { EngineAnswer } from './docker-types.ts';

const pingMsMax = 2_000;
const portPlain = 2_375;
const portTls = 2_376;

export type EngineAddress = {
  /** `unix:///path` or `tcp://host:port`. */
  readonly url: string;
  readonly tls?: EngineTls | undefined;
};

/** Dockerode takes an agent, and its types do not know. */
export type Connection = Dockerode.DockerOptions & { readonly agent: http.Agent };

/** Opens nothing yet. Throws where the address or a file of the certificates cannot be read. */
export function connectTo({ url, tls }: EngineAddress): Connection {
  if (url.startsWith('unix://'))
    return { socketPath: url.slice('unix://'.length), agent: failing(new http.Agent(kept)) };
  const parsed = URL.parse(url);
  if (parsed?.protocol !== 'tcp:' && parsed?.protocol !== 'http:') {
    throw new Error(`an engine is at unix:///path or tcp://host:port, not ${url}`);
  }
  const host = parsed.hostname.replace(/^\[(.*)\]$/, '$1');
  const port = parsed.port === '' ? (tls === undefined ? portPlain : portTls) : Number(parsed.port);
  if (tls === undefined) return { protocol: 'http', host, port, agent: failing(new http.Agent(kept)) };
  const [ca, cert, key] = [tls.ca, tls.cert, tls.key].map(file => readFileSync(file));
  return { protocol: 'https', host, port, ca, cert, key, agent: failing(new https.Agent(kept)) };
}

/** As the agents of Node itself. */
const kept = { keepAlive: true, scheduling: 'lifo', timeout: 5_000 } as const;

type Adding = { addRequest(request: http.ClientRequest, ...rest: unknown[]): void };

/**
 * docker-modem waits for the end of an answer, and an engine that dies in the midst of one never comes to it: whoever asked would
 * wait for ever. What breaks off fails the request here.
 */
function failing<A extends http.Agent>(agent: A): A {
  const { addRequest } = agent as unknown as Adding;
  const adding: Adding['addRequest'] = (request, ...rest) => {
    request.once('response', answer => answer.on('error', error => request.emit('error', error)));
    addRequest.call(agent, request, ...rest);
  };
  // docker-modem spells out all that it sends, for a log that nobody reads: not all the sockets with it.
  return Object.assign(agent, { addRequest: adding, [inspect.custom]: () => 'agent' });
}

/** Whether the engine answers within 2 s, and if not a sentence for people. */
export async function ping(options: Dockerode.DockerOptions, url: string): Promise<EngineAnswer> {
  const before = performance.now();
  try {
    await new Dockerode({ ...options, timeout: pingMsMax }).ping();
    return { ok: true };
  } catch (error) {
    return { ok: false, reason: sentenceOf(error, url, performance.now() - before >= pingMsMax) };
  }
}

function sentenceOf(error: unknown, url: string, late: boolean): string {
  if (late) return `The Docker engine at ${url} did not answer within ${pingMsMax / 1000} s`;
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  switch (code) {
    case 'ENOENT':
      return `There is no Docker engine at ${url}`;
    case 'EACCES':
    case 'EPERM':
      return `This user may not use the Docker engine at ${url}`;
    case 'ECONNREFUSED':
      return `Nothing answers at ${url}: the Docker engine is not running`;
    case 'ENOTFOUND':
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return `The host of the Docker engine ${url} cannot be reached`;
    default:
      return `The Docker engine at ${url} does not work: ${error instanceof Error ? error.message : error}`;
  }
}
