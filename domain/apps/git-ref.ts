/** Which names of branches and tags may be asked for. Follows `git check-ref-format`; a name is handed to git as an argument. */
import { refCharsMax } from '../kernel/limits.ts';

const forbidden = ['..', '@{', '//', '/.', '.lock/', ' ', '~', '^', ':', '?', '*', '[', '\\', '\u007f'];

/** Undefined when the name is fine, else a sentence that says what would be right. */
export function checkGitRef(text: string): string | undefined {
  if (text.length > refCharsMax) return `Use a branch or tag of at most ${refCharsMax} characters.`;
  const isWrong =
    text === '' ||
    text === '@' ||
    /^[-/.]/.test(text) ||
    /(?:\/|\.|\.lock)$/.test(text) ||
    forbidden.some(part => text.includes(part)) ||
    Array.from(text).some(character => character < ' ');
  return isWrong ? 'Use the name of a branch or tag, for example main or v1.2.' : undefined;
}
