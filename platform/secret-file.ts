/** Secrets that are made on the first start and kept beside the data, for their owner's eyes only. */
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
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
    writeFileSync(`${file}.new`, `${secret}\n`, { mode: ownerOnly });
    renameSync(`${file}.new`, file);
  }
  chmodSync(file, ownerOnly);
  return { secret, isNew: secret === made };
}

function readSecret(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8').trim() || undefined;
  } catch {
    return undefined;
  }
}
