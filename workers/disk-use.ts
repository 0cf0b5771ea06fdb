/** What a folder of this machine takes, and what is left beside it. */
import { lstat, readdir, statfs } from 'node:fs/promises';
import path from 'node:path';

const blockBytes = 512;
const atOnceMax = 64;

/** Null where nobody can say. */
export async function freeBytesOf(folder: string): Promise<number | null> {
  const seen = await statfs(folder).catch(() => undefined);
  return seen === undefined ? null : seen.bavail * seen.bsize;
}

/** What its files really take, without following links. What goes away meanwhile takes nothing. */
export async function folderBytes(folder: string): Promise<number> {
  let bytes = 0;
  const folders = [folder];
  for (const one of folders) {
    const entries = await readdir(one, { withFileTypes: true }).catch(() => []);
    for (let from = 0; from < entries.length; from += atOnceMax) {
      const files = entries.slice(from, from + atOnceMax).map(({ name }) => path.join(one, name));
      const stats = await Promise.all(files.map(file => lstat(file).catch(() => undefined)));
      for (const seen of stats) bytes += (seen?.blocks ?? 0) * blockBytes;
    }
    for (const entry of entries) if (entry.isDirectory()) folders.push(path.join(one, entry.name));
  }
  return bytes;
}
