/**
 * Reads other people's Git repositories: the newest commit of a branch, and a shallow checkout of a branch, tag or commit,
 * bounded in time, bytes and files. The one door to git; what is kept out is listed in git-run.ts.
 */
import { lstat, mkdir, readdir, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { checkGitRef } from '../../domain/apps/git-ref.ts';
import { checkRepoUrl } from '../../domain/apps/repo-url.ts';
import { asGitFailure, GitFailure } from './git-failure.ts';
import { type GitRun, runGit } from './git-run.ts';

export { GitFailure, type GitFailureCode } from './git-failure.ts';

type CloneLimits = {
  timeMsMax: number;
  /** Bytes of the transferred objects, and again of the files checked out. */
  bytesMax: number;
  filesMax: number;
};

const cloneLimits: CloneLimits = {
  timeMsMax: 10 * 60_000,
  bytesMax: 512 * 1024 * 1024,
  filesMax: 50_000,
};

const remoteHeadMsMax = 30_000;
const sizePollMs = 200;
/** A server that gives no single commit is asked for this much history of the ref, then for all of it. */
const historyDepths = [50, 1_000];
/** A path is at most 4096 bytes, but seldom: a listing with more than this a file is not one of source. */
const listingBytesPerFile = 512;

export type Source = {
  url: string;
  /** A branch, a tag or a full commit; left out: what the repository's HEAD points at. */
  ref?: string | undefined;
  /** Whether repositories of this machine (`file:`, absolute paths) may be read. */
  allowLocal: boolean;
  signal?: AbortSignal | undefined;
};

export type CloneRequest = Source & {
  /** 40 hexadecimal digits: exactly this commit, wherever it is in the history. */
  commit?: string | undefined;
  /** The folder to make; it must be absent or empty. On failure it is removed. */
  into: string;
  limits?: Partial<CloneLimits> | undefined;
};

/** `branch` is null when a tag or a bare commit was asked for. */
export type Checkout = { commit: string; branch: string | null };

/**
 * Checks out one commit of a repository, without its history. Throws a GitFailure with a message for the owner.
 * The folder holds the files and a `.git`; nothing of the repository was run.
 */
export async function cloneRepository(request: CloneRequest): Promise<Checkout> {
  const limits = { ...cloneLimits, ...withoutUndefined(request.limits) };
  checkSource(request);
  const { into, allowLocal } = request;
  await mkdir(into, { recursive: true });
  if ((await readdir(into)).length > 0) throw new Error(`${into} is not empty: nothing is cloned over it`);
  const watch = watchClone(into, limits, request.signal);
  const run: GitRun = { directory: into, allowLocal, signal: watch.signal };
  try {
    const target = await findTarget(run, request);
    await runGit(run, ['init', '--quiet']);
    await fetchTarget(run, request.url, target);
    const commit = (await runGit(run, ['rev-parse', '--verify', `${target.commit}^{commit}`])).trim();
    await checkListing(run, commit, limits);
    await runGit(run, ['checkout', '--quiet', '--force', '--detach', commit]);
    return { commit, branch: target.branch };
  } catch (error) {
    await watch.stop();
    await rm(into, { recursive: true, force: true });
    throw asGitFailure(error, [into]);
  } finally {
    await watch.stop();
  }
}

/** The commit a branch, a tag or HEAD points at now, without reading more than the list of refs. Throws a GitFailure. */
export async function remoteHead(source: Source & { timeMsMax?: number }): Promise<string> {
  checkSource(source);
  if (isCommit(source.ref)) return source.ref;
  const timeMsMax = source.timeMsMax ?? remoteHeadMsMax;
  const time = abortAfter(timeMsMax);
  const signal = source.signal === undefined ? time.signal : AbortSignal.any([source.signal, time.signal]);
  try {
    const run = { directory: os.tmpdir(), allowLocal: source.allowLocal, signal };
    return (await findRef(run, source.url, source.ref)).commit;
  } finally {
    time.clear();
  }
}

type Target = { commit: string; branch: string | null; refName: string | null };

function isCommit(text: string | undefined): text is string {
  return text !== undefined && /^[0-9a-f]{40}$/.test(text);
}

function checkSource({ url, ref, allowLocal, commit }: Source & { commit?: string | undefined }): void {
  const wrong =
    checkRepoUrl(url, { allowLocal }) ??
    (ref === undefined ? undefined : checkGitRef(ref)) ??
    (commit === undefined || isCommit(commit) ? undefined : 'A commit has 40 hexadecimal digits.');
  if (wrong !== undefined) throw new GitFailure('refused', wrong);
}

async function findTarget(run: GitRun, request: CloneRequest): Promise<Target> {
  const commit = request.commit ?? (isCommit(request.ref) ? request.ref : undefined);
  if (commit === undefined) return findRef(run, request.url, request.ref);
  const ref = isCommit(request.ref) ? undefined : request.ref;
  try {
    return { ...(await findRef(run, request.url, ref)), commit };
  } catch (error) {
    // The branch may be gone or moved; the commit may still be there.
    if (!(error instanceof GitFailure && ['ref-not-found', 'empty'].includes(error.code))) throw error;
    return { commit, branch: null, refName: null };
  }
}

/** Asks for HEAD, or for the branch or tag of this name; a branch goes before a tag, an annotated tag gives its commit. */
async function findRef(run: GitRun, url: string, ref: string | undefined): Promise<Target> {
  const names =
    ref === undefined
      ? ['HEAD']
      : ref.startsWith('refs/')
        ? [ref]
        : [`refs/heads/${ref}`, `refs/tags/${ref}`];
  const patterns = names.flatMap(name => (name === 'HEAD' ? [name] : [name, `${name}^{}`]));
  const listing = await runGit(run, ['ls-remote', '--symref', '--', url, ...patterns]);
  const lines = listing.split('\n').map(line => line.split('\t'));
  const commits = new Map(
    lines.flatMap(([value, name]) => (isCommit(value) ? [[name, value] as const] : [])),
  );
  const refName = names.find(name => commits.has(name));
  if (refName === undefined) {
    throw ref === undefined
      ? new GitFailure(
          'empty',
          'The repository has no commit yet, or its HEAD points at a branch that is not there.',
        )
      : new GitFailure('ref-not-found', `The repository has no branch or tag "${ref}".`);
  }
  const commit = commits.get(`${refName}^{}`) ?? commits.get(refName) ?? '';
  const head = lines.find(([value, name]) => name === 'HEAD' && value?.startsWith('ref: '))?.[0]?.slice(5);
  const branch = /^refs\/heads\/(.+)$/.exec(refName === 'HEAD' ? (head ?? '') : refName)?.[1] ?? null;
  return { commit, branch, refName };
}

/** Brings the commit into the folder: alone when the server gives it, else with as much history as it takes. */
async function fetchTarget(run: GitRun, url: string, { commit, refName }: Target): Promise<void> {
  const options = ['fetch', '--quiet', '--no-tags', '--no-recurse-submodules', '--no-write-fetch-head'];
  try {
    return void (await runGit(run, [...options, '--depth=1', '--', url, commit]));
  } catch (error) {
    const isNotGiven =
      error instanceof GitFailure && /not our ref|unadvertised object/i.test(reasonOf(error));
    if (!isNotGiven) throw error;
  }
  const history =
    refName === null ? [] : [...historyDepths.map(depth => [`--depth=${depth}`, refName]), [refName]];
  for (const attempt of [...history, ['+refs/heads/*:refs/remotes/origin/*']]) {
    const depth = attempt.filter(each => each.startsWith('--depth'));
    const full = depth.length === 0 && (await isShallow(run)) ? ['--unshallow'] : depth;
    await runGit(run, [...options, ...full, '--', url, ...attempt.filter(each => !depth.includes(each))]);
    if (await isPresent(run, commit)) return;
  }
  throw new GitFailure('ref-not-found', `The repository has no commit ${commit.slice(0, 12)}.`);
}

function reasonOf(failure: GitFailure): string {
  return failure.cause instanceof Error ? failure.cause.message : failure.message;
}

async function isShallow(run: GitRun): Promise<boolean> {
  return (await runGit(run, ['rev-parse', '--is-shallow-repository'])).trim() === 'true';
}

async function isPresent(run: GitRun, commit: string): Promise<boolean> {
  return runGit(run, ['cat-file', '-e', `${commit}^{commit}`]).then(
    () => true,
    () => false,
  );
}

/** Looks at names and sizes before anything is written: a few kilobytes of objects may unfold to any number of files. */
async function checkListing(run: GitRun, commit: string, limits: CloneLimits): Promise<void> {
  const args = ['ls-tree', '-r', '-l', '-z', '--full-tree', commit];
  const listing = await runGit(run, args, limits.filesMax * listingBytesPerFile).catch(
    (error: GitFailure) => {
      throw error.code === 'too-large' ? tooManyFiles(limits) : error;
    },
  );
  let files = 0;
  let bytes = 0;
  for (const [, size] of listing.matchAll(/(?:^|\0)\d+ blob [0-9a-f]+ +(\d+)\t/g)) {
    files += 1;
    bytes += Number(size);
  }
  if (files > limits.filesMax) throw tooManyFiles(limits);
  if (bytes > limits.bytesMax) throw tooLarge(limits);
}

function tooManyFiles({ filesMax }: CloneLimits): GitFailure {
  return new GitFailure('too-large', `The repository has more than ${filesMax} files. Use a smaller one.`);
}

function tooLarge({ bytesMax }: CloneLimits): GitFailure {
  const size = bytesMax >= 1024 * 1024 ? `${Math.floor(bytesMax / 1024 / 1024)} MiB` : `${bytesMax} bytes`;
  return new GitFailure('too-large', `The repository is larger than ${size}. Use a smaller one.`);
}

function abortAfter(timeMsMax: number): { signal: AbortSignal; clear(): void } {
  const controller = new AbortController();
  const timer = setTimeout(() => {
    const said = `The server of the repository took longer than ${Math.ceil(timeMsMax / 1_000)} s.`;
    controller.abort(new GitFailure('timeout', said));
  }, timeMsMax);
  return { signal: controller.signal, clear: () => clearTimeout(timer) };
}

/** Watches the clock and the growing folder, and aborts when either passes its limit. */
function watchClone(into: string, limits: CloneLimits, signal: AbortSignal | undefined) {
  const size = new AbortController();
  const time = abortAfter(limits.timeMsMax);
  let polling = Promise.resolve();
  let timer: NodeJS.Timeout | undefined;
  const poll = () => {
    polling = folderBytes(path.join(into, '.git')).then(bytes => {
      if (bytes > limits.bytesMax) size.abort(tooLarge(limits));
      else if (timer !== undefined) timer = setTimeout(poll, sizePollMs);
    });
  };
  timer = setTimeout(poll, sizePollMs);
  return {
    signal: AbortSignal.any([size.signal, time.signal, ...(signal === undefined ? [] : [signal])]),
    async stop() {
      time.clear();
      clearTimeout(timer);
      timer = undefined;
      await polling;
    },
  };
}

/** Bytes of the files below a folder; what goes away meanwhile counts nothing. */
async function folderBytes(folder: string): Promise<number> {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true }).catch(() => []);
  let bytes = 0;
  for (const entry of entries) {
    if (entry.isFile()) {
      bytes += await lstat(path.join(entry.parentPath, entry.name)).then(
        found => found.size,
        () => 0,
      );
    }
  }
  return bytes;
}

function withoutUndefined(limits: Partial<CloneLimits> | undefined): Partial<CloneLimits> {
  const given = Object.entries(limits ?? {}).filter(([, value]) => value !== undefined);
  return Object.fromEntries(given);
}
