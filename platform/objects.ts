/**
 * Objects by key: pictures now, more later. A folder on this machine holds them unless S3 does
 * (`workers/adapters/objects.ts` opens either). Keys that name a content hash are never overwritten with
 * something else, so a reader may keep what it got for ever.
 */
import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { constants, copyFile, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import type { Readable } from 'node:stream';

const keyCharsMax = 512;
const segmentPattern = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;
const contentTypeDefault = 'application/octet-stream';
const contentTypePattern = /^[\x20-\x7e]{1,128}$/;
const metaSuffix = '~type';

type StoredObject = {
  readonly stream: Readable;
  readonly contentType: string;
  /** How many the stream will give. */
  readonly bytes: number;
};

type ListedObject = { readonly key: string; readonly bytes: number; readonly changedAt: Date };

export type Objects = {
  /** Durable once resolved; a reader sees the old bytes or the new ones, never a part. */
  put(key: string, bytes: Uint8Array, options: { contentType: string }): Promise<void>;
  /** From this byte on; nothing, where it has not so many. The caller reads the stream to its end or destroys it. */
  get(key: string, from?: number): Promise<StoredObject | undefined>;
  /** The same with what a file of this machine holds, however much that is: only a part of it is in memory. */
  putFile(key: string, file: string, options: { contentType: string }): Promise<void>;
  has(key: string): Promise<boolean>;
  /** Removing what is not there is fine. */
  remove(key: string): Promise<void>;
  /** Every object whose key begins so, in the order of their keys. */
  list(prefix: string): AsyncIterable<ListedObject>;
};

/** The key of a picture is its content's, so the same picture is stored once. */
export function pictureKey(sha256: string): string {
  if (!/^[0-9a-f]{64}$/.test(sha256)) throw new Error('not a SHA-256 in hexadecimal digits');
  return `pictures/${sha256}`;
}

/** Stores a picture and answers with its SHA-256. What is there is not written again. */
export async function putPicture(objects: Objects, bytes: Uint8Array, contentType: string): Promise<string> {
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const key = pictureKey(sha256);
  if (!(await objects.has(key))) await objects.put(key, bytes, { contentType });
  return sha256;
}

/** Throws unless the key is a few plain names with slashes between them: it can never leave its folder. */
export function requireKey(key: string): string {
  const isPlain = key.length <= keyCharsMax && key.split('/').every(segment => segmentPattern.test(segment));
  if (!isPlain) throw new Error(`not the key of an object: ${JSON.stringify(key.slice(0, keyCharsMax))}`);
  return key;
}

/** Objects in files below `folder`, each with its type in a file beside it. */
export function openFolderObjects(folder: string): Objects {
  const fileOf = (key: string) => path.join(folder, requireKey(key));
  return {
    async put(key, bytes, { contentType }) {
      const file = fileOf(key);
      if (!contentTypePattern.test(contentType)) throw new Error('not a content type');
      await mkdir(path.dirname(file), { recursive: true });
      // The type first: whoever sees the bytes finds it.
      await writeWhole(`${file}${metaSuffix}`, Buffer.from(contentType));
      await writeWhole(file, bytes);
    },
    async putFile(key, from, { contentType }) {
      const file = fileOf(key);
      if (!contentTypePattern.test(contentType)) throw new Error('not a content type');
      await mkdir(path.dirname(file), { recursive: true });
      await writeWhole(`${file}${metaSuffix}`, Buffer.from(contentType));
      await copyWhole(file, from);
    },
    async get(key, from = 0) {
      const file = fileOf(key);
      const handle = await open(file).catch(absent);
      if (handle === undefined) return undefined;
      const seen = await handle.stat();
      if (!seen.isFile()) {
        await handle.close();
        return undefined;
      }
      const contentType = await readType(`${file}${metaSuffix}`);
      const stream = createReadStream('', { fd: handle, start: from });
      return { stream, contentType, bytes: Math.max(0, seen.size - from) };
    },
    async has(key) {
      return (await stat(fileOf(key)).catch(absent))?.isFile() ?? false;
    },
    async remove(key) {
      const file = fileOf(key);
      await rm(file, { force: true });
      await rm(`${file}${metaSuffix}`, { force: true });
    },
    list: prefix => listFolder(folder, prefix),
  };
}

/** A folder is entered where it may hold keys that begin so. */
async function* listFolder(root: string, prefix: string, below = ''): AsyncIterable<ListedObject> {
  const entries = (await readdir(path.join(root, below), { withFileTypes: true }).catch(absent)) ?? [];
  // As the keys are ordered: a folder's own have a slash behind its name.
  const keys = entries.map(entry => `${below}${entry.name}${entry.isDirectory() ? '/' : ''}`).sort(byUnits);
  for (const key of keys) {
    const mayHold = key.startsWith(prefix) || (key.endsWith('/') && prefix.startsWith(key));
    if (!mayHold || key.endsWith(metaSuffix) || path.posix.basename(key).startsWith('.')) continue;
    if (key.endsWith('/')) yield* listFolder(root, prefix, key);
    else {
      const seen = await stat(path.join(root, key)).catch(absent);
      if (seen !== undefined) yield { key, bytes: seen.size, changedAt: seen.mtime };
    }
  }
}

const byUnits = (a: string, b: string) => (a < b ? -1 : 1);

async function readType(file: string): Promise<string> {
  const handle = await open(file).catch(absent);
  if (handle === undefined) return contentTypeDefault;
  try {
    return await handle.readFile('utf8');
  } finally {
    await handle.close();
  }
}

/** Under another name, synced, then renamed; and the folder synced, so that the name is durable as well. */
async function writeWhole(file: string, bytes: Uint8Array): Promise<void> {
  const draft = path.join(path.dirname(file), `.draft-${randomUUID()}`);
  try {
    const handle = await open(draft, 'wx');
    try {
      await handle.writeFile(bytes);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(draft, file);
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
  await syncPath(path.dirname(file));
}

/** Under a name of its own, which the next attempt takes again: one that was cut off leaves nothing that stays. */
async function copyWhole(file: string, from: string): Promise<void> {
  const draft = path.join(path.dirname(file), `.draft-${path.basename(file)}`);
  try {
    await copyFile(from, draft, constants.COPYFILE_FICLONE);
    await syncPath(draft);
    await rename(draft, file);
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
  await syncPath(path.dirname(file));
}

async function syncPath(place: string): Promise<void> {
  const handle = await open(place);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function absent(error: unknown): undefined {
  // ENOTDIR: what would be its folder is an object itself.
  const isAbsent =
    error instanceof Error && 'code' in error && ['ENOENT', 'ENOTDIR'].includes(String(error.code));
  if (isAbsent) return undefined;
  throw error;
}
