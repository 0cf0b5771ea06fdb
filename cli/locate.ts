/**
 * Which server to talk to, and as whom: from the environment, else from the data folder of a server on this
 * machine.
 */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { Unreachable, UsageError } from './exit.ts';

export type Place = { readonly url: URL; readonly token: string | undefined };

type Env = Readonly<Record<string, string | undefined>>;

/**
 * APPHUB_URL and APPHUB_TOKEN, else `url` and `operator-token` in APPHUB_DATA_DIR (./data). The operator
 * token of this machine is never sent to another one.
 */
export async function locate(env: Env): Promise<Place> {
  const folder = path.resolve(env.APPHUB_DATA_DIR?.trim() || 'data');
  const given = env.APPHUB_URL?.trim() || (await textOf(path.join(folder, 'url')));
  if (given === undefined) {
    throw new Unreachable(
      `No AppHub is known here: ${path.join(folder, 'url')} does not exist. ` +
        'Start one with `apphub start`, or set APPHUB_URL and APPHUB_TOKEN.',
    );
  }
  const url = URL.parse(given.endsWith('/') ? given : `${given}/`);
  if (url === null || !['http:', 'https:'].includes(url.protocol)) {
    throw new UsageError(`The server's address "${given}" is not an http or https URL`);
  }
  const own = isOwnMachine(url) ? await textOf(path.join(folder, 'operator-token')) : undefined;
  return { url, token: env.APPHUB_TOKEN?.trim() || own };
}

async function textOf(file: string): Promise<string | undefined> {
  try {
    return (await readFile(file, 'utf8')).trim() || undefined;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw new UsageError(`${file} cannot be read (${code}); set APPHUB_URL and APPHUB_TOKEN instead`);
  }
}

function isOwnMachine({ hostname }: URL): boolean {
  return /^(.+\.)?localhost$|^127(\.\d+){3}$|^\[::1\]$/.test(hostname);
}
