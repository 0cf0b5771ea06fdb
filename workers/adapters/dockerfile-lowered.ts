/**
 * A Dockerfile in the words of before here-documents and `--link`. Null where that would not mean exactly the same: the text of
 * a COPY with variables in it, which only a builder can put in.
 */
import { type Dockerfile, type Instruction, wordsOf } from './dockerfile.ts';

export type Lowered = { readonly text: string; readonly files: readonly { path: string; text: string }[] };

/** Where texts of COPY go in the context. */
const folder = '.apphub-heredoc';
const shellDefault = ['/bin/sh', '-c'];

export function lowered(dockerfile: Dockerfile): Lowered | null {
  const { lines, instructions, syntax, directives } = dockerfile;
  const files: { path: string; text: string }[] = [];
  const out = new Map<number, string>();
  let shell: readonly string[] = shellDefault;
  const shells = new Map<string, readonly string[]>();
  let stage = '';
  for (const [at, each] of instructions.entries()) {
    const { keyword, rest } = each;
    if (keyword === 'FROM') {
      const [from = '', , name = ''] = wordsOf(rest);
      shell = shells.get(from.toLowerCase()) ?? shellDefault;
      stage = name.toLowerCase();
    }
    if (keyword === 'SHELL') shell = listOf(rest) ?? shell;
    shells.set(stage, shell);
    const written = lower(each, at, shell, files);
    if (written === null) return null;
    if (written !== undefined) out.set(each.from, written);
  }
  if (out.size === 0 && syntax === null) return { text: lines.join('\n'), files };
  return { text: rewritten(dockerfile, out, directives), files };
}

/** Lines keep their numbers as far as they can: what became one line is followed by comments. */
function rewritten(
  { lines, instructions, syntax }: Dockerfile,
  out: Map<number, string>,
  directives: number,
): string {
  const text = lines.map((line, at) => (at === syntax?.line ? undefined : line));
  if (syntax !== null) text.splice(directives, 0, '#');
  const shift = syntax === null ? 0 : 1;
  for (const { from, to } of instructions) {
    const line = out.get(from);
    if (line === undefined) continue;
    text[from + shift] = line;
    for (let at = from + 1; at <= to; at += 1) text[at + shift] = '#';
  }
  return text.filter(line => line !== undefined).join('\n');
}

/** Undefined: it can stay as it is. */
function lower(
  { keyword, flags, rest, heredocs }: Instruction,
  at: number,
  shell: readonly string[],
  files: { path: string; text: string }[],
): string | null | undefined {
  const isCopy = keyword === 'COPY' || keyword === 'ADD';
  const kept = isCopy ? flags.filter(flag => !/^--link(=|$)/.test(flag)) : flags;
  if (heredocs.length === 0) {
    return kept.length === flags.length ? undefined : [keyword, ...kept, rest].join(' ');
  }
  if (keyword === 'RUN')
    return [keyword, ...kept, JSON.stringify([...shell, scriptOf(rest, heredocs)])].join(' ');
  if (heredocs.some(({ isQuoted, text }) => !isQuoted && /[$\\]/.test(text))) return null;
  const words = wordsOf(rest).map(word => {
    const heredoc = heredocs.find(each => each.word === word);
    if (heredoc === undefined) return word;
    const path = `${folder}/${at + 1}/${heredoc.name}`;
    if (!/^[\w.-]+$/.test(heredoc.name)) return word;
    files.push({ path, text: heredoc.text });
    return path;
  });
  return words.some(word => heredocs.some(each => each.word === word))
    ? null
    : [keyword, ...kept, ...words].join(' ');
}

/** What the shell is given, as BuildKit does: the text alone is a script, beside a command it is the command's input. */
function scriptOf(rest: string, heredocs: Instruction['heredocs']): string {
  const [only] = heredocs;
  if (heredocs.length === 1 && only !== undefined && rest.trim() === only.word) {
    const interpreter = /^#!\s*(\S+)[ \t]*([^\n]*)\n/.exec(only.text);
    if (interpreter === null) return only.text;
    const [, program = '', argument = ''] = interpreter;
    const file = '/dev/shm/script';
    const run = [program, argument.trim(), file].filter(Boolean).join(' ');
    return `cat >${file} <<'APPHUB-SCRIPT'\n${only.text}APPHUB-SCRIPT\n${run}`;
  }
  const bodies = heredocs.map(({ text, name }) => `${text}${name}`);
  return [rest, ...bodies].join('\n');
}

function listOf(rest: string): readonly string[] | undefined {
  try {
    const parsed: unknown = JSON.parse(rest);
    return Array.isArray(parsed) && parsed.every(each => typeof each === 'string') ? parsed : undefined;
  } catch {
    return undefined;
  }
}
