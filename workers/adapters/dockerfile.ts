/**
 * A Dockerfile as its builders read it: directives, then instructions with their flags, their continued lines joined, and the
 * texts that are given in place (here-documents). Follows BuildKit's parser.
 */

type Heredoc = {
  readonly name: string;
  /** The word that stands for it, such as `<<-"EOF"`. */
  readonly word: string;
  /** Quoted: taken as it is. Else variables in it are put in. */
  readonly isQuoted: boolean;
  /** Whole lines, without the tabs that `<<-` takes away. */
  readonly text: string;
};

export type Instruction = {
  /** In capitals. */
  readonly keyword: string;
  /** `--name` or `--name=value`, as written. */
  readonly flags: readonly string[];
  /** What follows the flags, in one line. */
  readonly rest: string;
  readonly heredocs: readonly Heredoc[];
  /** The lines it is on, counted from 0; `to` is the last. */
  readonly from: number;
  readonly to: number;
};

export type Dockerfile = {
  readonly lines: readonly string[];
  /** What `# syntax=` names, and the line it is on. */
  readonly syntax: { readonly image: string; readonly line: number } | null;
  /** How many lines of directives there are at the top. */
  readonly directives: number;
  readonly instructions: readonly Instruction[];
};

const flagged = new Set(['FROM', 'RUN', 'COPY', 'ADD', 'HEALTHCHECK']);
const withHeredocs = new Set(['RUN', 'COPY', 'ADD']);

/** Reads any text; what is wrong with it its builder will say. */
export function readDockerfile(text: string): Dockerfile {
  const lines = text.replace(/^\uFEFF/, '').split(/\r?\n/);
  const { syntax, escapeWith, directives } = readDirectives(lines);
  const continued = escapeWith === '`' ? /`[ \t]*$/ : /\\[ \t]*$/;
  const instructions: Instruction[] = [];
  for (let at = directives; at < lines.length; at += 1) {
    if (isSkipped(lines[at])) continue;
    const from = at;
    let whole = lines[at] ?? '';
    while (continued.test(whole) && at + 1 < lines.length) {
      at += 1;
      // Comments and empty lines in the middle are passed over.
      if (!isSkipped(lines[at])) whole = whole.replace(continued, '') + lines[at];
    }
    const read = readInstruction(whole.replace(continued, '').trim());
    const heredocs = heredocsOf(read).map(({ stripsTabs, ...start }) => {
      const body: string[] = [];
      for (at += 1; at < lines.length; at += 1) {
        const line = stripsTabs ? (lines[at] ?? '').replace(/^\t+/, '') : (lines[at] ?? '');
        if (line === start.name) break;
        body.push(`${line}\n`);
      }
      return { ...start, text: body.join('') };
    });
    instructions.push({ ...read, heredocs, from, to: Math.min(at, lines.length - 1) });
  }
  return { lines, syntax, directives, instructions };
}

const isSkipped = (line = '') => /^\s*(#|$)/.test(line);

function readDirectives(lines: readonly string[]) {
  let syntax: Dockerfile['syntax'] = null;
  let escapeWith = '\\';
  let at = 0;
  for (; at < lines.length; at += 1) {
    const [, name = '', value = ''] =
      /^#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+?)\s*$/.exec(lines[at] ?? '') ?? [];
    if (name === '') break;
    if (name.toLowerCase() === 'syntax') syntax = { image: value.split(/\s/)[0] ?? '', line: at };
    if (name.toLowerCase() === 'escape') escapeWith = value;
  }
  return { syntax, escapeWith, directives: at };
}

function readInstruction(line: string): Pick<Instruction, 'keyword' | 'flags' | 'rest'> {
  const [, name = '', after = ''] = /^(\S+)\s*([\s\S]*)$/.exec(line) ?? [];
  const keyword = name.toUpperCase();
  const flags: string[] = [];
  let rest = after;
  while (flagged.has(keyword) && /^--[^\s]/.test(rest)) {
    const [flag = ''] = firstWord.exec(rest) ?? [];
    flags.push(flag);
    rest = rest.slice(flag.length).trimStart();
  }
  return { keyword, flags, rest };
}

const word = /(?:[^\s"'\\]|\\[\s\S]|"(?:[^"\\]|\\[\s\S])*"?|'[^']*'?)+/;
const firstWord = new RegExp(`^${word.source}`);
const everyWord = new RegExp(word, 'g');

/** The words of a line as they are written, quotes and all. */
export function wordsOf(line: string): readonly string[] {
  return line.match(everyWord) ?? [];
}

function isJsonForm(rest: string): boolean {
  if (!rest.startsWith('[')) return false;
  try {
    const parsed: unknown = JSON.parse(rest);
    return Array.isArray(parsed) && parsed.every(each => typeof each === 'string');
  } catch {
    return false;
  }
}

function heredocsOf({ keyword, rest }: Pick<Instruction, 'keyword' | 'rest'>) {
  if (!withHeredocs.has(keyword) || isJsonForm(rest)) return [];
  return wordsOf(rest).flatMap(word => {
    const [, dash, quoted = ''] = /^\d*<<(-?)([^<]+)$/.exec(word) ?? [];
    const name = quoted.replaceAll(/["'\\]/g, '');
    return name === '' ? [] : [{ name, word, isQuoted: name !== quoted, stripsTabs: dash === '-' }];
  });
}
