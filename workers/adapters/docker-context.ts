/**
 * The context of a build as a tar stream, in the order and with the omissions of the `docker` command:
 * .dockerignore is honoured, owner and times play no part. Git's own folder stays behind, because its
 * configuration may hold the credentials of the clone.
 */
import { lstat, readdir, readFile, realpath } from 'node:fs/promises';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { pack } from 'tar-fs';
import { type IgnoreRules, readDockerignore } from './docker-ignore.ts';
import { BuildFailure, type BuildImageRequest, type BuildPlan } from './docker-types.ts';

/** Owner and times play no part. */
const fresh = { uid: 0, gid: 0, mtime: new Date(0) };

const entriesMax = 200_000;
const dockerignoreBytesMax = 64 * 1024;
const dockerfileBytesMax = 1024 * 1024;

/**
 * Looks through the directory and streams what the build may see of it, with the Dockerfile as it is planned. Symbolic links are
 * sent as links and never followed. Throws BuildFailure where the context is too large.
 */
export async function packContext(
  { directory, dockerfilePath, limits }: Pick<BuildImageRequest, 'directory' | 'dockerfilePath' | 'limits'>,
  plan: Pick<BuildPlan, 'dockerfile' | 'files'>,
  signal: AbortSignal,
): Promise<Readable> {
  const rules = await readRules(directory);
  const always = [dockerfilePath, '.dockerignore'];
  const kept = await walk(directory, rules, always, limits.contextBytesMax, signal);
  const made = new Map([
    [dockerfilePath, plan.dockerfile],
    ...plan.files.map(file => [file.path, file.text] as const),
  ]);
  return pack(directory, {
    ignore: file => !kept.has(path.relative(directory, file)) || made.has(path.relative(directory, file)),
    map: header => ({ ...header, ...fresh }),
    sort: true,
    umask: 0,
    finalize: false,
    finish(tar) {
      for (const [name, text] of made) tar.entry({ name, ...fresh, mode: 0o644 }, text);
      tar.finalize();
    },
  });
}

/** A context of these files alone. */
export function packText(files: Readonly<Record<string, string>>): Readable {
  return pack('/', {
    entries: [],
    finalize: false,
    finish(tar) {
      for (const [name, text] of Object.entries(files)) tar.entry({ name, ...fresh, mode: 0o644 }, text);
      tar.finalize();
    },
  });
}

/** Throws BuildFailure where it is not a plain file inside of the directory: no folder on the way to it may be a link. */
export async function readDockerfileText(directory: string, dockerfilePath: string): Promise<string> {
  const inside = path.relative(directory, path.resolve(directory, dockerfilePath));
  if (inside.startsWith('..') || path.isAbsolute(inside)) {
    throw new BuildFailure(`${dockerfilePath} is outside the repository`);
  }
  const file = path.join(directory, inside);
  const stat = await lstat(file).catch(() => undefined);
  if (stat === undefined) throw new BuildFailure(`There is no ${dockerfilePath} at this commit`);
  const isWhereItSeems =
    (await realpath(file).catch(() => '')) === path.join(await realpath(directory), inside);
  if (!stat.isFile() || !isWhereItSeems) throw new BuildFailure(`${dockerfilePath} is not a plain file`);
  if (stat.size > dockerfileBytesMax) throw new BuildFailure(`${dockerfilePath} is larger than 1 MiB`);
  return readFile(file, 'utf8');
}

async function readRules(directory: string): Promise<IgnoreRules> {
  const file = path.join(directory, '.dockerignore');
  const stat = await lstat(file).catch(() => undefined);
  if (stat === undefined || !stat.isFile()) return readDockerignore('');
  if (stat.size > dockerignoreBytesMax) throw new BuildFailure('.dockerignore is larger than 64 KiB');
  try {
    return readDockerignore(await readFile(file, 'utf8'));
  } catch (error) {
    if (error instanceof RangeError) throw new BuildFailure(error.message);
    throw error;
  }
}

/** The relative paths of all that is sent. Folders count too, where something in them does. */
async function walk(
  directory: string,
  rules: IgnoreRules,
  always: readonly string[],
  contextBytesMax: number,
  signal: AbortSignal,
): Promise<Set<string>> {
  const kept = new Set<string>();
  const open = [''];
  let bytes = 0;
  for (let folder = open.pop(); folder !== undefined; folder = open.pop()) {
    signal.throwIfAborted();
    for (const entry of await readdir(path.join(directory, folder), { withFileTypes: true })) {
      const file = folder === '' ? entry.name : `${folder}/${entry.name}`;
      if (file === '.git') continue;
      const ignored = rules.ignores(file) && !always.includes(file);
      if (entry.isDirectory()) {
        const mayHoldKept = rules.hasExceptions || always.some(needed => needed.startsWith(`${file}/`));
        if (!ignored || mayHoldKept) open.push(file);
        if (!ignored) keep(kept, file);
      } else if (!ignored && (entry.isFile() || entry.isSymbolicLink())) {
        bytes += (await lstat(path.join(directory, file))).size;
        keep(kept, file);
      }
      if (bytes > contextBytesMax || kept.size > entriesMax) {
        const limit = `${Math.round(contextBytesMax / 1024 / 1024)} MiB or ${entriesMax} files`;
        throw new BuildFailure(`The build context is larger than ${limit}: leave out more by .dockerignore`);
      }
    }
  }
  return kept;
}

function keep(kept: Set<string>, file: string): void {
  for (let name = file; name !== '.' && !kept.has(name); name = path.posix.dirname(name)) kept.add(name);
}
