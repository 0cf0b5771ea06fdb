/**
 * Runs git so that neither this machine's configuration nor the repository decides what else is run: no system and user
 * configuration, no hooks, no templates, no credential helpers and prompts, no LFS, no submodules, only the transports asked for.
 */
import { randomUUID } from 'node:crypto';
import { devNull } from 'node:os';
import { type SimpleGit, type SimpleGitOptions, simpleGit } from 'simple-git';
import { asGitFailure, GitFailure } from './git-failure.ts';
import { endMarkedProcesses } from './marked-processes.ts';

/** A transfer slower than this for `slowSecondsMax` is given up, also when nobody is left to end it. */
const slowBytesPerSecondMin = 1_000;
const slowSecondsMax = 60;
const connectSecondsMax = 20;

/** Marks the processes of one run, so that all of them can be ended. */
const markVariable = 'APPHUB_GIT_RUN';

const passedOn = [
  'PATH',
  'SSH_AUTH_SOCK',
  'SSL_CERT_FILE',
  'SSL_CERT_DIR',
  'http_proxy',
  'https_proxy',
  'no_proxy',
  'HTTP_PROXY',
  'HTTPS_PROXY',
  'NO_PROXY',
  'TMPDIR',
];

const config = [
  `core.hooksPath=${devNull}`,
  'core.fsmonitor=false',
  'core.autocrlf=false',
  'core.longpaths=true',
  'credential.helper=',
  'protocol.ext.allow=never',
  'submodule.recurse=false',
  'fetch.recurseSubmodules=false',
  'fetch.unpackLimit=1',
  'gc.auto=0',
  // Unpacking a large repository leaves the other cores to launches.
  'pack.threads=1',
  'maintenance.auto=false',
  'advice.detachedHead=false',
  `http.lowSpeedLimit=${slowBytesPerSecondMin}`,
  `http.lowSpeedTime=${slowSecondsMax}`,
];

export type GitRun = {
  directory: string;
  allowLocal: boolean;
  /** Ends the running git. Its reason, when a GitFailure, is what the caller sees. */
  signal: AbortSignal;
};

/** Runs one git command and gives what it printed; throws a GitFailure. Output beyond `outputBytesMax` ends it. */
export async function runGit(run: GitRun, args: string[], outputBytesMax = 4 * 1024 * 1024): Promise<string> {
  const flood = new AbortController();
  const signal = AbortSignal.any([run.signal, flood.signal]);
  const mark = randomUUID();
  const git = openGit(run, signal, mark);
  let ending = Promise.resolve();
  const end = () => {
    ending = endMarkedProcesses(markVariable, mark);
  };
  signal.addEventListener('abort', end);
  let outputBytes = 0;
  git.outputHandler((_command, stdout) => {
    stdout.on('data', (chunk: Buffer) => {
      outputBytes += chunk.length;
      if (outputBytes > outputBytesMax) flood.abort(new GitFailure('too-large', 'git said too much.'));
    });
  });
  try {
    return await git.raw(args);
  } catch (error) {
    await ending;
    if (signal.aborted) throw asAborted(signal.reason);
    throw asGitFailure(error, [run.directory]);
  } finally {
    signal.removeEventListener('abort', end);
  }
}

function asAborted(reason: unknown): GitFailure {
  return reason instanceof GitFailure ? reason : new GitFailure('cancelled', 'It was cancelled.');
}

function openGit({ directory, allowLocal }: GitRun, signal: AbortSignal, mark: string): SimpleGit {
  const own = gitVariables(allowLocal);
  const inherited = passedOn.flatMap(name => {
    const value = process.env[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  const options: Partial<SimpleGitOptions> = {
    baseDir: directory,
    abort: signal,
    config,
    maxConcurrentProcesses: 1,
    allowEnvironment: Object.keys(own),
    // All of these are values of ours, above and below; none of them comes from a user.
    unsafe: {
      allowUnsafeHooksPath: true,
      allowUnsafeFsMonitor: true,
      allowUnsafeCredentialHelper: true,
      allowUnsafeProtocolOverride: true,
      allowUnsafeConfigPaths: true,
      allowUnsafeSshCommand: true,
      allowUnsafeTemplateDir: true,
    },
    errors(error, { exitCode, stdErr }) {
      if (error !== undefined || exitCode === 0) return error;
      return Buffer.concat([Buffer.from(`git ended with ${exitCode}\n`), ...stdErr]);
    },
  };
  return simpleGit(options).env({ ...Object.fromEntries(inherited), ...own, [markVariable]: mark });
}

function gitVariables(allowLocal: boolean): Record<string, string> {
  return {
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: devNull,
    GIT_ATTR_NOSYSTEM: '1',
    GIT_TEMPLATE_DIR: '',
    GIT_TERMINAL_PROMPT: '0',
    GIT_LFS_SKIP_SMUDGE: '1',
    GIT_OPTIONAL_LOCKS: '0',
    GIT_ALLOW_PROTOCOL: `http:https:ssh:git${allowLocal ? ':file' : ''}`,
    GIT_SSH_COMMAND:
      `ssh -o BatchMode=yes -o StrictHostKeyChecking=accept-new -o ConnectTimeout=${connectSecondsMax} ` +
      '-o ClearAllForwardings=yes -o PermitLocalCommand=no',
    // No ~/.netrc, no ~/.config: ssh finds its keys by the user's entry in the password file, not by HOME.
    HOME: '/nonexistent',
    LC_ALL: 'C',
  };
}
