/** Secrets that are made on the first start and kept beside the data, for their owner's eyes only. */
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';

const ownerOnly = 0o600;
const secretBytes = 32;

/** The secret in the file: `given` where there is one, else what is there, else a new one. `isNew` tells the last case. */
export function keepSecret(
  file: string,
  options: { given?: string | undefined; prefix?: string } = {},
): { secret: string; isNew: boolean } {
  const known = readSecret(file);
  const made = `${options.prefix ?? ''}${randomBytes(secretBytes).toString('base64url')}`;
  const secret = options.given ?? known ?? made;
  if (secret !== known) replace(file, `${secret}\n`);
  chmodSync(file, ownerOnly);
  return { secret, isNew: secret === made };
}

/**
 * Secrets that take each other's place: the present one first, then the one before it, whose work is still good. `given`, or
 * a new first line in the file, makes the one that was there the one before.
 */
export function keepSecretBefore(
  file: string,
  options: { given?: string | undefined } = {},
): readonly [string, ...string[]] {
  const known = (readSecret(file) ?? '').split('\n').flatMap(line => line.trim() || []);
  const made = known.length === 0 ? randomBytes(secretBytes).toString('base64url') : undefined;
  const [present, ...before] = [...new Set([options.given ?? made ?? [], known].flat())];
  if (present === undefined) throw new Error('there is always a first');
  const kept = [present, ...before.slice(0, 1)] as const;
  if (kept.join() !== known.join()) replace(file, `${kept.join('\n')}\n`);
  chmodSync(file, ownerOnly);
  return [...kept];
}

/** What is there but cannot be read is not replaced: whoever knows the old secret would be locked out. */
function readSecret(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8').trim() || undefined;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

function replace(file: string, text: string): void {
  mkdirSync(path.dirname(file), { recursive: true });
  writeDurably(`${file}.new`, text);
  renameSync(`${file}.new`, file);
}

/** A file that is new, so that nobody else has it open, and whose bytes are on the disk before it gets its name. */
function writeDurably(file: string, text: string): void {
  rmSync(file, { force: true });
  const fd = openSync(file, 'wx', ownerOnly);
  try {
    writeFileSync(fd, text);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
