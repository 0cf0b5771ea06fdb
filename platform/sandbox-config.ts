/** What the environment says about how launches are confined. Each reader throws an Error that says what would be right. */
import { isIPv4 } from 'node:net';
import { type ResourceProfile, resourceProfiles } from '../domain/kernel/limits.ts';

type Env = Readonly<Record<string, string | undefined>>;

/** What a container may use. Folders that can be written to lie in memory, and what is in them counts as memory. */
export type Resources = {
  readonly memoryBytes: number;
  /** In cores. */
  readonly cpus: number;
  /** Processes and threads. */
  readonly pidsMax: number;
  /** How much each folder may hold that can be written to. */
  readonly tmpfsBytes: number;
};

export type SandboxConfig = {
  readonly profiles: Readonly<Record<ResourceProfile, Resources>>;
  /** The private range that the networks of launches are cut from, as in `10.213.0.0/16`. */
  readonly subnets: string;
  /** Whether launches are refused where the host they run on cannot be guarded from them. */
  readonly hostGuard: boolean;
  /** Where apps find the way out, on the gateway of their network. */
  readonly egressPort: number;
  /** The address that ports of apps are published at and reached at; undefined: found out. */
  readonly publish: string | undefined;
};

const mib = 1024 * 1024;
const defaults: Readonly<Record<ResourceProfile, Resources>> = {
  small: { memoryBytes: 256 * mib, cpus: 0.5, pidsMax: 128, tmpfsBytes: 64 * mib },
  medium: { memoryBytes: 512 * mib, cpus: 1, pidsMax: 256, tmpfsBytes: 128 * mib },
  large: { memoryBytes: 1024 * mib, cpus: 2, pidsMax: 512, tmpfsBytes: 256 * mib },
};
const memoryBytesMin = 16 * mib;
const memoryBytesMax = 1024 * 1024 * mib;
const cpusMin = 0.05;
const cpusMax = 256;
const pidsMin = 8;
const pidsMax = 32_768;
const tmpfsBytesMin = mib;
const subnetDefault = '10.213.0.0/16';
const subnetBitsMin = 8;
const subnetBitsMax = 26;
const egressPortDefault = 4_128;
const example = '{"small": {"memory": "256m", "cpus": 0.5, "pids": 128, "tmpfs": "64m"}}';

export function readSandbox(env: Env): SandboxConfig {
  const text = (name: string) => env[name]?.trim() || undefined;
  return {
    profiles: parseProfiles(text('APPHUB_LAUNCH_PROFILES')),
    subnets: parseSubnets(text('APPHUB_LAUNCH_SUBNETS') ?? subnetDefault),
    hostGuard: parseGuard(text('APPHUB_HOST_GUARD')),
    egressPort: parsePort(text('APPHUB_EGRESS_PORT')),
    publish: parseAddress(text('APPHUB_LAUNCH_PUBLISH')),
  };
}

/** What is not named keeps its default: `{"large": {"memory": "4g"}}` changes one number. */
function parseProfiles(text: string | undefined): SandboxConfig['profiles'] {
  if (text === undefined) return defaults;
  const given = objectOf(text, () => `APPHUB_LAUNCH_PROFILES must be JSON such as ${example}`);
  const stranger = Object.keys(given).find(name => !resourceProfiles.some(known => known === name));
  if (stranger !== undefined) {
    throw new Error(`APPHUB_LAUNCH_PROFILES: "${stranger}" is none of ${resourceProfiles.join(', ')}`);
  }
  const { small, medium, large } = defaults;
  return {
    small: parseProfile('small', given.small, small),
    medium: parseProfile('medium', given.medium, medium),
    large: parseProfile('large', given.large, large),
  };
}

function parseProfile(name: ResourceProfile, given: unknown, before: Resources): Resources {
  if (given === undefined) return before;
  const where = `APPHUB_LAUNCH_PROFILES: ${name}`;
  const { memory, cpus, pids, tmpfs, ...rest } = objectOf(given, () => `${where} must be an object`);
  const stranger = Object.keys(rest)[0];
  if (stranger !== undefined) throw new Error(`${where}.${stranger} is none of memory, cpus, pids, tmpfs`);
  const memoryBytes = memory === undefined ? before.memoryBytes : bytesOf(memory);
  const tmpfsBytes = tmpfs === undefined ? Math.min(before.tmpfsBytes, memoryBytes) : bytesOf(tmpfs);
  const its = { memoryBytes, cpus: cpus ?? before.cpus, pidsMax: pids ?? before.pidsMax, tmpfsBytes };
  if (!isBetween(memoryBytes, memoryBytesMin, memoryBytesMax)) {
    throw new Error(`${where}.memory must be a size from 16m to 1024g, such as 512m`);
  }
  if (!isBetween(its.cpus, cpusMin, cpusMax)) {
    throw new Error(`${where}.cpus must be a number from ${cpusMin} to ${cpusMax}`);
  }
  if (!isBetween(its.pidsMax, pidsMin, pidsMax) || !Number.isInteger(its.pidsMax)) {
    throw new Error(`${where}.pids must be a whole number from ${pidsMin} to ${pidsMax}`);
  }
  if (!isBetween(tmpfsBytes, tmpfsBytesMin, memoryBytes)) {
    throw new Error(`${where}.tmpfs must be a size from 1m to its memory, such as 64m`);
  }
  return { ...its, cpus: Number(its.cpus), pidsMax: Number(its.pidsMax) };
}

const isBetween = (value: unknown, min: number, max: number): boolean =>
  typeof value === 'number' && value >= min && value <= max;

function objectOf(given: unknown, say: () => string): Record<string, unknown> {
  let value = given;
  if (typeof given === 'string') {
    try {
      value = JSON.parse(given);
    } catch {
      value = undefined;
    }
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value };
  throw new Error(say());
}

/** `512m`, `2g`, or a number of bytes. NaN: none of these. */
export function bytesOf(value: unknown): number {
  if (typeof value === 'number') return Number.isInteger(value) ? value : Number.NaN;
  const [, number, unit = ''] = /^(\d{1,15})([kmg]?)$/i.exec(String(value)) ?? [];
  const factor = { k: 1024, m: mib, g: 1024 * mib }[unit.toLowerCase()] ?? 1;
  return number === undefined ? Number.NaN : Number(number) * factor;
}

/** Private, so that nothing outside is ever mistaken for a launch; and with all its last bits zero. */
function parseSubnets(text: string): string {
  const [address = '', bitsText = '', ...rest] = text.split('/');
  const bits = /^\d{1,2}$/.test(bitsText) ? Number(bitsText) : -1;
  const isFine =
    isIPv4(address) &&
    rest.length === 0 &&
    bits >= subnetBitsMin &&
    bits <= subnetBitsMax &&
    isPrivate(address, bits);
  const parts = address.split('.').map(Number);
  const number = parts.reduce((sum, part) => sum * 256 + part, 0);
  if (isFine && number % 2 ** (32 - bits) === 0) return text;
  const range = `a private range from /${subnetBitsMin} to /${subnetBitsMax}`;
  throw new Error(`APPHUB_LAUNCH_SUBNETS is "${text}"; it must be ${range}, such as ${subnetDefault}`);
}

function isPrivate(address: string, bits: number): boolean {
  if (address.startsWith('10.')) return true;
  if (address.startsWith('192.168.')) return bits >= 16;
  return /^172\.(1[6-9]|2\d|3[01])\./.test(address) && bits >= 12;
}

function parseGuard(text = 'on'): boolean {
  if (text === 'on') return true;
  if (text === 'off') return false;
  throw new Error(`APPHUB_HOST_GUARD is "${text}"; it must be on or off`);
}

function parsePort(text: string | undefined): number {
  const port = text === undefined ? egressPortDefault : Number(text);
  if (Number.isInteger(port) && port >= 1_024 && port <= 65_535) return port;
  throw new Error(`APPHUB_EGRESS_PORT is "${text}"; it must be a whole number from 1024 to 65535`);
}

function parseAddress(text: string | undefined): string | undefined {
  if (text === undefined || isIPv4(text)) return text;
  throw new Error(`APPHUB_LAUNCH_PUBLISH is "${text}"; it must be an address such as 10.0.0.5`);
}
