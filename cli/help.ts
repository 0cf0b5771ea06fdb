/** What --help prints: for the whole command, for a noun, for a verb. */
import { commonOptions, type Options, type Verb } from './verb.ts';

/**
 * A noun with its verbs behind an import, so that the help of the whole does not load what it does not need.
 */
export type Noun = {
  readonly summary: string;
  /** The verb that is meant when none is named. */
  readonly implied?: string;
  /** The verb may be left out in front of words, too: there is one alone. */
  readonly hasOneVerb?: true;
  /** What the noun's file exports as `verbs`. */
  readonly load: () => Promise<Readonly<Record<string, Verb>>>;
};

export function topHelp(nouns: Readonly<Record<string, Noun>>): string {
  const rows = Object.entries(nouns).map(([name, { summary }]) => [name, summary] as const);
  return `Give it Git repositories, find them, build them, run them.

Usage: apphub <noun> <verb> [words] [options]
       apphub start [options]

${columns([['start', 'Run AppHub on this machine'], ...rows])}

Examples:
  apphub start
  apphub apps add https://git.example.org/team/shop.git --watch
  apphub apps search shop language:javascript
  apphub launches start shop --watch
  apphub log tail --types "Build*"

Every verb takes --json and --help, and what changes something also --receipt <file>: what proves the change to whoever has
the public key is put there (apphub audit verify --receipt).

Environment:
${columns([
  ['APPHUB_URL', 'The server; default: the one whose data folder is here'],
  ['APPHUB_TOKEN', 'Who you are; default: the operator of this machine'],
  ['APPHUB_DATA_DIR', 'The data folder; default ./data'],
  ['NO_COLOR', 'Print without colours'],
])}

Exit codes: 0 done, 1 failed, 2 misunderstood, 3 no server, 4 not allowed, 5 not found, 6 in conflict,
            130 interrupted
More: apphub <noun> --help, apphub <noun> <verb> --help`;
}

export function nounHelp(noun: string, { summary }: Noun, verbs: Readonly<Record<string, Verb>>): string {
  const rows = Object.entries(verbs).map(([name, verb]) => {
    return [[name, verb.words].filter(part => part !== '').join(' '), verb.summary] as const;
  });
  const examples = Object.values(verbs).flatMap(verb => verb.examples.slice(0, 1));
  return `${summary}

Usage: apphub ${noun} <verb> [words] [options]

${columns(rows)}

Examples:
${examples.map(example => `  ${example}`).join('\n')}

More: apphub ${noun} <verb> --help`;
}

export function verbHelp(noun: string, name: string, verb: Verb): string {
  const words = verb.words === '' ? '' : ` ${verb.words}`;
  return `${[verb.summary, verb.about].filter(text => text !== undefined).join('\n\n')}

Usage: apphub ${noun} ${name}${words} [options]

Options:
${columns(optionRows({ ...verb.options, ...commonOptions }))}

Examples:
${verb.examples.map(example => `  ${example}`).join('\n')}`;
}

function optionRows(options: Options): (readonly [string, string])[] {
  return Object.entries(options).map(([name, { short, value, help }]) => {
    const flag = `${short === undefined ? '    ' : `-${short}, `}--${name}`;
    return [value === undefined ? flag : `${flag} <${value}>`, help];
  });
}

function columns(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`).join('\n');
}
