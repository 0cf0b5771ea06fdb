/** What the environment says about workspaces. Each reader throws an Error that says what would be right. */
import { workspaceBytesMin } from '../domain/kernel/limits.ts';

type Env = Readonly<Record<string, string | undefined>>;

export type WorkspaceConfig = {
  /** What one may hold that says nothing about it, and what it may say at most. */
  readonly bytesDefault: number;
  readonly bytesMax: number;
  /** How many of one app may have volumes on an engine. */
  readonly perAppMax: number;
  /** How long between two looks at what they hold. */
  readonly weighSeconds: number;
};

const gib = 1024 ** 3;
const units: Readonly<Record<string, number>> = { '': 1, k: 1024, m: 1024 ** 2, g: gib, t: 1024 ** 4 };
const weighSecondsMax = 86_400;
const countMax = 10_000;

export function readWorkspaces(env: Env): WorkspaceConfig {
  const bytesMax = bytesOf(env, 'APPHUB_WORKSPACE_BYTES_MAX', '10g', Number.MAX_SAFE_INTEGER);
  return {
    bytesDefault: bytesOf(env, 'APPHUB_WORKSPACE_BYTES', bytesMax < gib ? `${bytesMax}` : '1g', bytesMax),
    bytesMax,
    perAppMax: countOf(env, 'APPHUB_WORKSPACES_PER_APP_MAX', 20, countMax),
    weighSeconds: countOf(env, 'APPHUB_WORKSPACE_WEIGH_SECONDS', 30, weighSecondsMax),
  };
}

function bytesOf(env: Env, name: string, byDefault: string, bytesMax: number): number {
  const given = env[name]?.trim() || byDefault;
  const [, number, unit = ''] = /^(\d{1,15})([kmgt]?)$/i.exec(given) ?? [];
  const bytes = Number(number) * (units[unit.toLowerCase()] ?? Number.NaN);
  if (bytes >= workspaceBytesMin && bytes <= bytesMax) return bytes;
  throw new Error(
    `${name} is "${given}"; it must be an amount such as 512m or 2g, from 1m to ${amount(bytesMax)}`,
  );
}

function amount(bytes: number): string {
  return bytes === Number.MAX_SAFE_INTEGER ? '8191t' : `${bytes} bytes`;
}

function countOf(env: Env, name: string, byDefault: number, max: number): number {
  const given = env[name]?.trim() || String(byDefault);
  const count = Number(given);
  if (Number.isInteger(count) && count >= 1 && count <= max) return count;
  throw new Error(`${name} is "${given}"; it must be a whole number from 1 to ${max}`);
}
