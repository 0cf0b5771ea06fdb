/** What the environment says about the engines that build and run. Throws an Error that says what would be right. */
import { isIPv4 } from 'node:net';
import path from 'node:path';
import { bytesOf } from './sandbox-config.ts';

type Env = Readonly<Record<string, string | undefined>>;

/** Files of a client's certificate, and of the authority whose word on the engine's own is taken. */
export type EngineTls = { readonly ca: string; readonly cert: string; readonly key: string };

export type EngineConfig = {
  /** Events and pages name it so; it stays, whatever becomes of the address. */
  readonly name: string;
  /** `swarm`: the engine is a manager of a swarm, whose nodes run what is launched. */
  readonly kind: 'engine' | 'swarm';
  /** `unix:///path` or `tcp://host:port`. */
  readonly url: string;
  readonly tls: EngineTls | undefined;
  /** The address of its host that ports are published at and reached at from here; undefined: found out. */
  readonly address: string | undefined;
  /** What it is, in words of the installation: launches may ask for them. */
  readonly labels: Readonly<Record<string, string>>;
  readonly limits: EngineLimits;
  /** Whether images are built on it. */
  readonly builds: boolean;
};

/** How much may be promised to launches and builds there, all together; undefined: no limit. */
export type EngineLimits = {
  readonly cpus: number | undefined;
  readonly memoryBytes: number | undefined;
  readonly launches: number | undefined;
};

export type EnginesConfig = {
  readonly list: readonly EngineConfig[];
  /** An engine that is away for so long has lost its launches. */
  readonly awaySeconds: number;
};

export const localEngine = 'default';
const enginesMax = 64;
const labelsMax = 32;
const cpusMax = 100_000;
const launchesMax = 100_000;
const awaySecondsDefault = 60;
const awaySecondsMin = 5;
const awaySecondsMax = 86_400;
const namePattern = /^[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?$/;
const labelPattern = /^[a-z0-9](?:[a-z0-9._/-]{0,61}[a-z0-9])?$/i;
const noLimits: EngineLimits = { cpus: undefined, memoryBytes: undefined, launches: undefined };
const example = '[{"name": "east", "url": "tcp://10.0.0.5:2376", "labels": {"zone": "east"}}]';

/** `DOCKER_HOSTS` where it is set, else the one engine of `DOCKER_HOST`, which is called `default`. */
export function readEngines(env: Env): EnginesConfig {
  const text = (name: string) => env[name]?.trim() || undefined;
  const tls = tlsOf(text('DOCKER_CERT_PATH'), text('DOCKER_TLS_VERIFY'));
  const hosts = text('DOCKER_HOSTS');
  const awaySeconds = seconds(text('APPHUB_ENGINE_AWAY_SECONDS'));
  if (hosts !== undefined) return { list: parseHosts(hosts, tls), awaySeconds };
  const url = text('DOCKER_HOST') ?? 'unix:///var/run/docker.sock';
  const only = parseEngine({ name: localEngine, url }, 'DOCKER_HOST', tls);
  if (only.builds) return { list: [only], awaySeconds };
  throw new Error(
    'DOCKER_HOST is a swarm, which does not build: DOCKER_HOSTS has to name an engine beside it',
  );
}

/** As the docker command reads them: the certificates are used where verification is asked for. */
function tlsOf(folder: string | undefined, verify: string | undefined): EngineTls | undefined {
  if (verify === undefined) return undefined;
  if (folder === undefined) throw new Error('DOCKER_TLS_VERIFY also needs DOCKER_CERT_PATH');
  const file = (name: string) => path.resolve(folder, name);
  return { ca: file('ca.pem'), cert: file('cert.pem'), key: file('key.pem') };
}

function seconds(text: string | undefined): number {
  const value = text === undefined ? awaySecondsDefault : Number(text);
  if (Number.isInteger(value) && value >= awaySecondsMin && value <= awaySecondsMax) return value;
  const range = `a whole number from ${awaySecondsMin} to ${awaySecondsMax}`;
  throw new Error(`APPHUB_ENGINE_AWAY_SECONDS is "${text}"; it must be ${range}`);
}

function parseHosts(text: string, tls: EngineTls | undefined): EngineConfig[] {
  const given = text.startsWith('[') ? parseJson(text) : parseShort(text);
  if (given.length === 0 || given.length > enginesMax) {
    throw new Error(`DOCKER_HOSTS must name from 1 to ${enginesMax} engines`);
  }
  const engines = given.map((one, index) => parseEngine(one, `DOCKER_HOSTS, engine ${index + 1}`, tls));
  const names = engines.map(({ name }) => name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new Error(`DOCKER_HOSTS names two engines "${twice}"`);
  if (!engines.some(({ builds }) => builds)) throw new Error('DOCKER_HOSTS: none of the engines may build');
  return engines;
}

function parseJson(text: string): unknown[] {
  try {
    const value: unknown = JSON.parse(text);
    if (Array.isArray(value)) return value;
  } catch {
    // Said below.
  }
  throw new Error(`DOCKER_HOSTS must be JSON such as ${example}, or short: east=tcp://10.0.0.5:2376,west=…`);
}

function parseShort(text: string): unknown[] {
  return text.split(/[\s,]+/).map(part => {
    const at = part.indexOf('=');
    if (at > 0) return { name: part.slice(0, at), url: part.slice(at + 1) };
    throw new Error(`DOCKER_HOSTS: "${part}" must be <name>=<address>, such as east=tcp://10.0.0.5:2376`);
  });
}

function parseEngine(given: unknown, where: string, tlsDefault: EngineTls | undefined): EngineConfig {
  if (!isObject(given)) throw new Error(`${where} must be an object such as ${example}`);
  const { name, url, tls, address, labels, cpus, memory, launches, builds, ...rest } = given;
  const stranger = Object.keys(rest)[0];
  if (stranger !== undefined) throw new Error(`${where} may not have "${stranger}"`);
  if (typeof name !== 'string' || !namePattern.test(name)) {
    throw new Error(`${where}: its name must be of a-z, 0-9 and -, at most 32 letters`);
  }
  const said = where === 'DOCKER_HOST' ? where : `DOCKER_HOSTS, ${name}`;
  const { kind, ...place } = parseUrl(url, said);
  if (address !== undefined && !isIPv4(String(address))) {
    throw new Error(`${said}: address must be one of IPv4 such as 10.0.0.5`);
  }
  if (builds !== undefined && typeof builds !== 'boolean') {
    throw new Error(`${said}: builds must be true or false`);
  }
  if (kind === 'swarm' && builds === true)
    throw new Error(`${said}: a swarm does not build; another engine has to`);
  if (kind === 'swarm' && address !== undefined) {
    throw new Error(`${said}: nodes of a swarm each have their address, so it may not have one`);
  }
  return {
    name,
    kind,
    url: place.url,
    tls: place.url.startsWith('tcp:') ? (parseTls(tls, said) ?? tlsDefault) : undefined,
    address: address === undefined ? undefined : String(address),
    labels: parseLabels(labels, said),
    limits: {
      ...noLimits,
      ...(cpus === undefined ? {} : { cpus: number(cpus, cpusMax, `${said}: cpus`) }),
      ...(memory === undefined ? {} : { memoryBytes: parseMemory(memory, said) }),
      ...(launches === undefined ? {} : { launches: whole(launches, launchesMax, `${said}: launches`) }),
    },
    builds: builds ?? kind === 'engine',
  };
}

function parseUrl(given: unknown, said: string): { kind: EngineConfig['kind']; url: string } {
  const text = typeof given === 'string' ? given : '';
  const kind = text.startsWith('swarm+') ? 'swarm' : 'engine';
  const url = kind === 'swarm' ? text.slice('swarm+'.length) : text;
  if (/^unix:\/\/\/./.test(url)) return { kind, url };
  const parsed = URL.parse(url);
  const isPlain = parsed !== null && /^\/?$/.test(parsed.pathname) && parsed.username === '';
  if (isPlain && ['tcp:', 'http:'].includes(parsed.protocol) && parsed.hostname !== '') {
    return { kind, url: url.replace(/^http:/, 'tcp:').replace(/\/$/, '') };
  }
  const forms = 'unix:///path or tcp://host:port, with swarm+ before it for the manager of a swarm';
  throw new Error(`${said} is "${text}"; it must be ${forms}`);
}

function parseTls(given: unknown, said: string): EngineTls | undefined {
  if (given === undefined) return undefined;
  const { ca, cert, key, ...rest } = isObject(given) ? given : {};
  const files = [ca, cert, key].map(file => (typeof file === 'string' ? path.resolve(file) : ''));
  if (files.includes('') || Object.keys(rest).length > 0) {
    throw new Error(`${said}: tls must be the files {"ca": …, "cert": …, "key": …}`);
  }
  const [caFile = '', certFile = '', keyFile = ''] = files;
  return { ca: caFile, cert: certFile, key: keyFile };
}

function parseLabels(given: unknown, said: string): Record<string, string> {
  if (given === undefined) return {};
  const entries = isObject(given) ? Object.entries(given) : [];
  const isFine = entries.every(
    ([key, value]) => labelPattern.test(key) && typeof value === 'string' && labelPattern.test(value),
  );
  if (isObject(given) && isFine && entries.length <= labelsMax) {
    return Object.fromEntries(entries.map(([key, value]) => [key, String(value)]));
  }
  throw new Error(`${said}: labels must be like {"zone": "east"}, of letters, digits and . _ / -`);
}

function parseMemory(given: unknown, said: string): number {
  const bytes = bytesOf(given);
  if (bytes > 0) return bytes;
  throw new Error(`${said}: memory must be a size such as 16g`);
}

function number(given: unknown, max: number, said: string): number {
  if (typeof given === 'number' && given > 0 && given <= max) return given;
  throw new Error(`${said} must be a number above 0, at most ${max}`);
}

function whole(given: unknown, max: number, said: string): number {
  if (Number.isInteger(given)) return number(given, max, said);
  throw new Error(`${said} must be a whole number`);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
