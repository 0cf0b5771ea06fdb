/**
 * The only way the inspection reads a checkout. The files are somebody else's: symbolic links may point anywhere, a file may
 * be of any size. Nothing outside the folder and nothing of `.git` is read, and never more than a given number of bytes.
 */
import { constants } from 'node:fs';
import { open, readdir, realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { InspectionFailure } from './inspection-failure.ts';

const listedEntriesMax = 5_000;

type Entry = { name: string; kind: 'file' | 'folder' | 'link' };

export type Checkout = {
  /** Whether there is a regular file of this name inside the checkout. */
  hasFile(file: string): Promise<boolean>;
  /** Whether a file, a folder or a link that leads to one inside the checkout has this name. */
  has(name: string): Promise<boolean>;
  /** The bytes of a file, or null when it is absent, no regular file, outside the checkout or longer than `bytesMax`. */
  readBytes(file: string, bytesMax: number): Promise<Buffer | null>;
  /** The same as text; what is not UTF-8 is replaced. */
  readText(file: string, bytesMax: number): Promise<string | null>;
  /** What is in a folder, by name; at most `listedEntriesMax` entries. Links are not followed. */
  list(folder: string): Promise<Entry[]>;
};

/** Opens a folder for reading; paths given to it are relative to it, with "/" between folders and "" for the root. */
export async function openCheckout(directory: string): Promise<Checkout> {
  const root = await realpath(directory).catch(() => undefined);
  if (root === undefined || !(await stat(root)).isDirectory()) {
    throw new InspectionFailure('not-a-checkout', 'The checkout of the repository is not there.');
  }
  const readBytes = (file: string, bytesMax: number) => readInside(root, file, bytesMax);
  return {
    readBytes,
    has: async name => (await resolveInside(root, name)) !== undefined,
    async hasFile(file) {
      const real = await resolveInside(root, file);
      return real !== undefined && (await stat(real)).isFile();
    },
    async readText(file, bytesMax) {
      const bytes = await readBytes(file, bytesMax);
      return bytes === null ? null : new TextDecoder().decode(bytes);
    },
    list: folder => listInside(root, folder),
  };
}

/** The real path of what a name in the checkout stands for, if that is inside the checkout and not of git itself. */
async function resolveInside(root: string, name: string): Promise<string | undefined> {
  if (name.includes('\0')) return undefined;
  const real = await realpath(path.join(root, name)).catch(() => undefined);
  if (real === undefined) return undefined;
  const inside = path.relative(root, real);
  const first = inside.split(path.sep)[0];
  return first === '..' || first === '.git' || path.isAbsolute(inside) ? undefined : real;
}

async function readInside(root: string, name: string, bytesMax: number): Promise<Buffer | null> {
  const real = await resolveInside(root, name);
  if (real === undefined) return null;
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const file = await open(real, flags).catch(() => undefined);
  if (file === undefined) return null;
  try {
    const found = await file.stat();
    if (!found.isFile() || found.size > bytesMax) return null;
    const bytes = Buffer.alloc(found.size);
    const { bytesRead } = await file.read(bytes, 0, bytes.length, 0);
    return bytes.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

async function listInside(root: string, folder: string): Promise<Entry[]> {
  const real = await resolveInside(root, folder);
  if (real === undefined) return [];
  const entries = await readdir(real, { withFileTypes: true }).catch(() => []);
  return entries
    .flatMap((entry): Entry[] => {
      if (entry.name === '.git') return [];
      if (entry.isFile()) return [{ name: entry.name, kind: 'file' }];
      if (entry.isDirectory()) return [{ name: entry.name, kind: 'folder' }];
      return entry.isSymbolicLink() ? [{ name: entry.name, kind: 'link' }] : [];
    })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .slice(0, listedEntriesMax);
}

/** The folder of a file and each one above it, nearest first, ending with the root (""). */
export function foldersUpFrom(file: string): string[] {
  const parts = file.split('/').slice(0, -1);
  return [...parts.keys()].map(n => parts.slice(0, parts.length - n).join('/')).concat('');
}

/** Joins a folder of the checkout ("" is the root) and a name below it. */
export function inFolder(folder: string, name: string): string {
  return folder === '' ? name : `${folder}/${name}`;
}
