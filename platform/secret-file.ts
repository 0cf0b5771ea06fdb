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
  if (secret !== known) {
    mkdirSync(path.dirname(file), { recursive: true });
    writeDurably(`${file}.new`, `${secret}\n`);
    renameSync(`${file}.new`, file);
  }
  chmodSync(file, ownerOnly);
  return { secret, isNew: secret === made };
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
