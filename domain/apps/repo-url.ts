/**
 * Which addresses a repository may have. The address is stored in the log for ever and handed to git as an argument, so it
 * must neither carry a secret nor be able to make git run a program (`ext::sh -c …`, `--upload-pack=…`, `-oProxyCommand`).
 */
import { urlCharsMax } from '../kernel/limits.ts';

export type RepoUrlRules = {
  /** Whether `file:` addresses and absolute paths of this machine may be read. */
  allowLocal: boolean;
};

const remoteProtocols = ['http:', 'https:', 'ssh:', 'git:'];
const asUrl = /^[a-z][a-z0-9+.-]*:\/\//i;
/**
 * `git@host:path`, ssh's short form: no slash before the colon. Without a user the host needs a dot, or `javascript:x` and
 * `mailto:x` would be addresses too.
 */
const userAtHost = String.raw`[a-z0-9_][a-z0-9_.+-]*@(?:\[[0-9a-f:]+\]|[a-z0-9][a-z0-9._-]*)`;
const hostAlone = String.raw`\[[0-9a-f:]+\]|[a-z0-9][a-z0-9_-]*\.[a-z0-9._-]+`;
const asShortSsh = new RegExp(String.raw`^(?:${userAtHost}|${hostAlone}):(?!//)[^\s-]\S*$`, 'i');
const asRemoteHelper = /^[a-z0-9+.-]*::/i;

const forms = 'Use an http, https, ssh or git address, for example https://example.org/team/app.git';

/** Undefined when the address is fine, else a sentence that says what would be right. */
export function checkRepoUrl(text: string, { allowLocal }: RepoUrlRules): string | undefined {
  if (text === '') return `${forms}.`;
  if (text.length > urlCharsMax) return `Use an address of at most ${urlCharsMax} characters.`;
  if (hasControlCharacter(text)) return 'Use an address without line breaks and control characters.';
  if (text.startsWith('-')) return `${forms}; it cannot begin with "-".`;
  if (text.includes('\\')) return `${forms}; it cannot hold a backslash.`;
  if (asRemoteHelper.test(text)) return `${forms}; "<helper>::" addresses run programs and are refused.`;
  if (isLocalRepo(text)) return checkLocal(text, allowLocal);
  if (asUrl.test(text)) return checkRemote(text);
  return asShortSsh.test(text) ? undefined : `${forms}.`;
}

/** Whether the address names a repository of this machine: a `file:` URL or an absolute path. */
export function isLocalRepo(text: string): boolean {
  return text.startsWith('/') || /^file:/i.test(text);
}

function checkLocal(text: string, allowLocal: boolean): string | undefined {
  if (!allowLocal) return `${forms}; repositories of this machine are not allowed here.`;
  if (text.startsWith('/')) return undefined;
  const url = URL.parse(text);
  const isPlain = url !== null && url.host === '' && url.pathname.length > 1 && /^file:\/\//i.test(text);
  return isPlain
    ? undefined
    : 'Use a file address with an absolute path, for example file:///srv/git/app.git.';
}

function checkRemote(text: string): string | undefined {
  const url = URL.parse(text);
  if (url === null || url.hostname === '' || /\s/.test(text)) return `${forms}.`;
  if (!remoteProtocols.includes(url.protocol)) return `${forms}; "${url.protocol}" is not supported.`;
  const mayNameUser = url.protocol === 'ssh:';
  if (url.password !== '' || (url.username !== '' && !mayNameUser)) {
    return 'Use an address without user name and password: it is shown to everybody and kept for ever.';
  }
  if (url.search !== '' || url.hash !== '') return 'Use an address without "?" and "#".';
  if (url.pathname.length < 2) return `${forms}; the path of the repository is missing.`;
  // ssh would take such a name for an option; `%2d` is a dash too.
  const names = [url.hostname, url.username].map(name => name.replace(/%2d/gi, '-'));
  return names.some(name => name.startsWith('-')) ? `${forms}; a host cannot begin with "-".` : undefined;
}

function hasControlCharacter(text: string): boolean {
  return Array.from(text).some(character => character < ' ' || character === '\u007f');
}
