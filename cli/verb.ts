/** What a command of the command line is: its words and options, what it does, and how its help reads. */
import { type ParseArgsOptionDescriptor, parseArgs } from 'node:util';
import { asOfOption, clientAsOf, whenOf } from './as-of.ts';
import type { Client } from './client.ts';
import { UsageError } from './exit.ts';
import type { Output } from './output.ts';
import { nearest } from './suggest.ts';

/** `value` names what an option takes, for the help; an option without it is a switch. */
type Option = ParseArgsOptionDescriptor & { readonly help: string; readonly value?: string };
export type Options = { readonly [name: string]: Option };

/** What each command gets: a client that connects when it is first used, where to print, and when to stop. */
type Shell = {
  readonly env: Readonly<Record<string, string | undefined>>;
  output(json: boolean): Output;
  /** `receiptFile`: where what proves its changes is put. */
  client(output: Output, receiptFile?: string): Client;
  readonly signal: AbortSignal;
};

export type Verb = {
  readonly summary: string;
  /** The words it takes, as the help shows them: `<app> [<build>]`. */
  readonly words: string;
  readonly options: Options;
  readonly examples: readonly string[];
  /** More than the summary, where there is something to know. */
  readonly about?: string;
  /** Runs with what stands behind the verb. Resolves with the exit code. */
  run(args: readonly string[], shell: Shell): Promise<number>;
};

export const commonOptions = {
  json: { type: 'boolean', help: 'Print JSON: one document, or one line an event for what streams' },
  help: { type: 'boolean', short: 'h', help: 'Show this help' },
} as const satisfies Options;

/** Of every verb that may change something; told in the help of the whole. */
const proving = {
  receipt: { type: 'string', value: 'file', help: 'Save what proves the change' },
} as const satisfies Options;

type Parsed<O extends Options> = ReturnType<
  typeof parseArgs<{ options: O & typeof commonOptions; allowPositionals: true }>
>['values'];

export type Given<O extends Options> = {
  readonly words: readonly string[];
  readonly options: Parsed<O>;
  readonly client: Client;
  readonly out: Output;
  readonly signal: AbortSignal;
};

type Definition<O extends Options> = Omit<Verb, 'run'> & {
  readonly options: O;
  /** Set where it reads what can be read as it was at an earlier time. */
  readonly looksBack?: true;
  readonly run: (given: Given<O>) => Promise<number>;
};

/** A verb whose `run` sees its options with their types. How many words it takes is read off `words`. */
export function defineVerb<const O extends Options>(definition: Definition<O>): Verb {
  const isReading = definition.looksBack === true;
  const all = { ...definition.options, ...(isReading ? asOfOption : {}) };
  return {
    ...definition,
    options: all,
    run: async (args, shell) => {
      const { values, positionals } = parse(
        definition.words,
        { ...(isReading ? {} : proving), ...all, ...commonOptions },
        args,
      );
      const out = shell.output(values.json === true);
      const options = values as Parsed<O>;
      const { receipt } = values as { receipt?: unknown };
      const isOwn = 'receipt' in definition.options;
      const connected = shell.client(out, isOwn ? undefined : (receipt as string | undefined));
      const client = lookingBack(connected, out, values);
      return definition.run({ words: positionals, options, client, out, signal: shell.signal });
    },
  };
}

/** The client, or where a time was named one that asks for it, after the person in front was told. */
function lookingBack(client: Client, out: Output, values: Readonly<Record<string, unknown>>): Client {
  const { 'as-of': given, watch, follow } = values;
  if (typeof given !== 'string') return client;
  if (watch === true || follow === true)
    throw new UsageError(
      `--as-of goes without --${watch ? 'watch' : 'follow'}: nothing happens any more there`,
    );
  const asOf = whenOf(given, Date.now());
  out.note(`As of ${asOf}: what is now is shown without --as-of.`);
  return clientAsOf(client, asOf);
}

function parse(words: string, options: Options, args: readonly string[]) {
  try {
    const parsed = parseArgs({ args, options, allowPositionals: true });
    countWords(words, parsed.positionals);
    return parsed;
  } catch (error) {
    throw error instanceof UsageError ? error : usageOf(error, Object.keys(options));
  }
}

function usageOf(error: unknown, known: readonly string[]): UsageError {
  const { code = '', message } = error as Error & { code?: string };
  const unknown = /'(-[^']*)'/.exec(message)?.[1];
  if (code === 'ERR_PARSE_ARGS_UNKNOWN_OPTION' && unknown !== undefined) {
    const near = nearest(unknown.replace(/^-+/, ''), known);
    return new UsageError(
      `There is no option ${unknown}${near === undefined ? '' : `; did you mean --${near}?`}`,
    );
  }
  return new UsageError(message.split('\n')[0] ?? message);
}

/** `<app> <tag>... [<more>]`: angle brackets are needed, square ones may be left out, dots repeat. */
function countWords(usage: string, given: readonly string[]): void {
  const wanted = usage.split(' ').filter(word => word !== '');
  const needed = wanted.filter(word => word.startsWith('<'));
  const countMax = usage.includes('...') ? Number.POSITIVE_INFINITY : wanted.length;
  if (given.length < needed.length) throw new UsageError(`${needed[given.length]} is missing`);
  if (given.length > countMax) throw new UsageError(`"${given[countMax]}" is one word too many`);
}

/** A whole number from the command line. */
export function wholeNumber(name: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= min && value <= max) return value;
  throw new UsageError(`--${name} is "${text}"; it must be a whole number from ${min} to ${max}`);
}

const secondsPer: Readonly<Record<string, number>> = { '': 1, s: 1, m: 60, h: 3_600, d: 86_400 };

/** A length of time from the command line, in seconds: `90`, `10m`, `2h`, `7d`. */
export function secondsOf(name: string, text: string): number {
  const [, digits, unit = ''] = /^(\d{1,6})([smhd]?)$/.exec(text) ?? [];
  if (digits === undefined) throw new UsageError(`--${name} is "${text}"; write seconds, or 10m, 2h, 7d`);
  return Number(digits) * (secondsPer[unit] ?? 1);
}

/** `key:value` in two parts; the value may hold more colons. */
export function tagOf(text: string): { key: string; value: string } {
  const at = text.indexOf(':');
  if (at > 0 && at < text.length - 1) return { key: text.slice(0, at), value: text.slice(at + 1) };
  throw new UsageError(`"${text}" is not a tag; write key:value, for example language:javascript`);
}
