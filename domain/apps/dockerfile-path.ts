/** Where the Dockerfile of an app may be: a path below the root of its repository, written the way git writes paths. */
import { pathCharsMax } from '../kernel/limits.ts';

/** Undefined when the path is fine, else a sentence that says what would be right. */
export function checkDockerfilePath(text: string): string | undefined {
  const example = 'for example Dockerfile or services/web/Dockerfile';
  if (text === '') return `Use a path inside the repository, ${example}.`;
  if (text.length > pathCharsMax) return `Use a path of at most ${pathCharsMax} characters.`;
  if (Array.from(text).some(character => character < ' ' || character === '\u007f')) {
    return 'Use a path without line breaks and control characters.';
  }
  if (text.includes('\\')) return `Use "/" between folders, ${example}.`;
  if (text.startsWith('/') || /^[a-z]:/i.test(text)) {
    return `Use a path relative to the root of the repository, ${example}.`;
  }
  if (text.startsWith('-')) return `Use a path that does not begin with "-", ${example}.`;
  const segments = text.split('/');
  if (segments.includes('..')) return `Use a path that stays inside the repository (no ".."), ${example}.`;
  if (segments.some(segment => segment === '' || segment === '.')) {
    return `Use a path without empty parts and ".", ending in a file name, ${example}.`;
  }
  if (segments.some(segment => segment.toLowerCase() === '.git')) {
    return `Use a path of a file that is part of the source (nothing below .git), ${example}.`;
  }
  return undefined;
}
