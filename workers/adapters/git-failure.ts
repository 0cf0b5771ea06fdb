/** Why git could not do what was asked, in words for the owner of the app, and whether asking again later may help. */
import { GitPluginError } from 'simple-git';

export type GitFailureCode =
  | 'unreachable'
  | 'auth'
  | 'not-found'
  | 'ref-not-found'
  | 'empty'
  | 'too-large'
  | 'timeout'
  | 'refused'
  | 'cancelled'
  | 'failed';

const retryableCodes: readonly GitFailureCode[] = ['unreachable', 'timeout', 'failed'];
const detailCharsMax = 300;

/** Whatever any of these matches, in upper or lower case. */
function anyOf(...patterns: readonly RegExp[]): RegExp {
  return new RegExp(patterns.map(({ source }) => source).join('|'), 'i');
}

export class GitFailure extends Error {
  readonly code: GitFailureCode;
  /** Whether the same request may succeed later without anybody changing anything. */
  readonly retryable: boolean;

  constructor(code: GitFailureCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'GitFailure';
    this.code = code;
    this.retryable = retryableCodes.includes(code);
  }
}

/** What git (2.x, LC_ALL=C) says on its error output, and what it means. The first that matches wins. */
const meanings: readonly [RegExp, GitFailureCode, string][] = [
  [/spawn git ENOENT/, 'failed', 'git is not installed on this server. Its operator has to install it.'],
  [
    /could not read Username|could not read Password|Authentication failed|terminal prompts disabled|HTTP 40[13]|error: 40[13]/i,
    'auth',
    'The repository does not exist or is private: its server asks for a name and password. Use the address of a ' +
      'public repository, or an ssh address this server has a key for.',
  ],
  [
    /Permission denied \(|Host key verification failed|no supported authentication/i,
    'auth',
    'The server did not let us in over ssh. Give this server a key that may read the repository.',
  ],
  [
    /detected dubious ownership/i,
    'refused',
    'The repository belongs to another user of this machine and is not read. Give it to the user AppHub runs as.',
  ],
  [
    /transport '[^']*' not allowed|protocol .* not supported|strange (hostname|pathname|port)/i,
    'refused',
    'Addresses of this kind are not allowed here. Use an http, https, ssh or git address.',
  ],
  [
    /invalid path '/,
    'refused',
    'The repository holds a file that git does not check out, such as one below a folder ".git".',
  ],
  [
    /couldn't find remote ref|Remote branch .* not found/i,
    'ref-not-found',
    'The repository has no such branch or tag.',
  ],
  [
    anyOf(
      /repository '?[^\n]*'? not found|does not appear to be a git repository|does not exist/,
      /HTTP 404|error: 404|not valid: is this a git repository/,
    ),
    'not-found',
    'There is no Git repository at this address. Check the address.',
  ],
  [
    anyOf(
      /Could not resolve host|Connection refused|Connection timed out|Failed to connect|Couldn't connect/,
      /Network is unreachable|No route to host|Connection reset|early EOF|unexpected disconnect/,
      /remote end hung up|RPC failed|Empty reply|unable to access|error: 5\d\d|SSL/,
    ),
    'unreachable',
    'The server of the repository could not be reached, or it broke off.',
  ],
];

/** The failure behind what simple-git threw. `hide` are texts (paths of this machine) that are not shown to users. */
export function asGitFailure(error: unknown, hide: readonly string[] = []): GitFailure {
  if (error instanceof GitFailure) return error;
  if (error instanceof GitPluginError && error.plugin !== 'abort') {
    return new GitFailure('refused', 'What was asked of git is not allowed.', { cause: error });
  }
  const text = error instanceof Error ? error.message : String(error);
  const meaning = meanings.find(([pattern]) => pattern.test(text));
  const detail = lastWords(text, hide);
  if (meaning === undefined) return new GitFailure('failed', `git failed: ${detail}`, { cause: error });
  const [, code, message] = meaning;
  return new GitFailure(code, code === 'unreachable' ? `${message} (${detail})` : message, { cause: error });
}

/** The line of git's output that says why, without secrets, paths of this machine and control characters. */
function lastWords(text: string, hide: readonly string[]): string {
  const lines = text.split(/[\r\n]+/).filter(line => line.trim() !== '');
  const line = lines.find(each => /^(fatal|error|remote): /.test(each)) ?? lines.at(-1) ?? 'no reason given';
  const shown = hide.reduce((rest, secret) => rest.replaceAll(secret, '…'), line);
  return Array.from(shown.replace(/\/\/[^/@\s]*@/g, '//'))
    .filter(character => character >= ' ' && character !== '\u007f')
    .slice(0, detailCharsMax)
    .join('')
    .replace(/^fatal: /, '');
}
