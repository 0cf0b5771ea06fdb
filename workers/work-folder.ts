/** Folders that effects work in. They go with the effect, and what a killed process has left goes with the next one. */
import { readdir, rm, stat } from 'node:fs/promises';
import path from 'node:path';

/** Nothing that works in a folder may take nearly as long. */
const ageMsMax = 24 * 3_600_000;

/**
 * Gives the path of a folder that is not there, and removes it afterwards. Those of attempts before this one go first: nobody
 * wants their outcome any more.
 */
export async function withWorkFolder<T>(
  workDir: string,
  name: string,
  attempt: number,
  use: (directory: string) => Promise<T>,
): Promise<T> {
  const folderOf = (number: number) => path.join(workDir, `${name}-${number}`);
  for (let each = 1; each <= attempt; each += 1) await remove(folderOf(each));
  try {
    return await use(folderOf(attempt));
  } finally {
    await remove(folderOf(attempt));
  }
}

/** Removes what nobody has touched for a day, such as the folder of an attempt that was killed and never begun again. */
export async function removeOldFolders(workDir: string, nowMs = Date.now()): Promise<void> {
  for (const name of await readdir(workDir).catch(() => [])) {
    const folder = path.join(workDir, name);
    const found = await stat(folder).catch(() => undefined);
    if (found !== undefined && nowMs - found.mtimeMs > ageMsMax) await remove(folder);
  }
}

function remove(folder: string): Promise<void> {
  return rm(folder, { recursive: true, force: true, maxRetries: 3 });
}
