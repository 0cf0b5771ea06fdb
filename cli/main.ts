/**
 * The `apphub` command: `apphub <noun> <verb>`. Finds the verb, runs it, and turns how it ended into an exit
 * code.
 */
import { exitOf, exits, linesOf, UsageError } from './exit.ts';
import { type Noun, nounHelp, topHelp, verbHelp } from './help.ts';
import { openOutput } from './output.ts';
import { nearest } from './suggest.ts';

const nouns: Readonly<Record<string, Noun>> = {
  apps: {
    summary: 'Register, find and look after apps',
    load: async () => (await import('./apps.ts')).verbs,
  },
  builds: { summary: 'Images made of apps', load: async () => (await import('./builds.ts')).verbs },
  images: {
    summary: 'What builds have made, and making it go',
    load: async () => (await import('./images.ts')).verbs,
  },
  secrets: {
    summary: 'Secrets that builds of an app may mount',
    load: async () => (await import('./secrets.ts')).verbs,
  },
  launches: { summary: 'Running previews of apps', load: async () => (await import('./launches.ts')).verbs },
  hosts: {
    summary: 'Host names that lead to apps',
    load: async () => (await import('./hosts.ts')).verbs,
  },
  workspaces: {
    summary: 'What launches keep, and its snapshots',
    load: async () => (await import('./workspaces.ts')).verbs,
  },
  usage: {
    summary: 'What launches have used, and may',
    implied: 'show',
    load: async () => (await import('./usage.ts')).verbs,
  },
  why: {
    summary: 'Which event set a value, and what led to an event',
    implied: 'show',
    hasOneVerb: true,
    load: async () => (await import('./why.ts')).verbs,
  },
  bisect: {
    summary: 'The first event after which an answer was another one',
    implied: 'show',
    hasOneVerb: true,
    load: async () => (await import('./bisect.ts')).verbs,
  },
  keys: { summary: 'API keys for programs', load: async () => (await import('./keys.ts')).verbs },
  sessions: {
    summary: 'Who is signed in on a browser',
    load: async () => (await import('./sessions.ts')).verbs,
  },
  audit: {
    summary: 'Who did what and who was refused, and what proves it',
    implied: 'list',
    load: async () => (await import('./audit.ts')).verbs,
  },
  engines: {
    summary: 'What builds and runs, and what is promised there',
    implied: 'list',
    load: async () => (await import('./engines.ts')).verbs,
  },
  projections: {
    summary: 'The tables: how they stand, making them anew, and what is wrong in them',
    implied: 'list',
    load: async () => (await import('./projections.ts')).verbs,
  },
  'dead-letters': {
    summary: 'Events that tables could not take, and what waits behind them',
    implied: 'list',
    load: async () => (await import('./dead-letters.ts')).verbs,
  },
  upgrade: {
    summary: 'What would change if this version took over',
    implied: 'check',
    load: async () => (await import('./upgrade.ts')).verbs,
  },
  guard: {
    summary: 'The firewall of the host that launches run on',
    load: async () => (await import('./guard.ts')).verbs,
  },
  log: { summary: 'The event log itself', load: async () => (await import('./log.ts')).verbs },
};

/** Ctrl-C ends a command in order; a second one ends it at once. */
const interrupted = new AbortController();

async function main(args: readonly string[]): Promise<number> {
  const [first, ...rest] = args;
  if (first === 'start') return (await import('./start.ts')).start(rest);
  process.once('SIGINT', () => {
    process.once('SIGINT', () => process.exit(exits.interrupted));
    interrupted.abort();
  });
  if (first === undefined || isHelp(first)) return help(rest);
  if (first === '--version' || first === '-V') return version();
  return runVerb(first, rest);
}

async function runVerb(nounName: string, [verbName, ...rest]: readonly string[]): Promise<number> {
  const noun = own(nouns, nounName);
  if (noun === undefined) throw unknown('command', nounName, ['start', 'help', ...Object.keys(nouns)], '');
  const { implied, hasOneVerb } = noun;
  const isLeftOut =
    verbName === undefined ||
    (!isHelp(verbName) && (verbName.startsWith('-') || (hasOneVerb && verbName !== implied)));
  if (implied !== undefined && isLeftOut)
    return runVerb(nounName, [implied, ...(verbName === undefined ? [] : [verbName]), ...rest]);
  const verbs = await noun.load();
  if (verbName === undefined || isHelp(verbName)) {
    print(nounHelp(nounName, noun, verbs));
    return verbName === undefined ? exits.usage : exits.ok;
  }
  const verb = own(verbs, verbName);
  if (verb === undefined) throw unknown('verb', verbName, Object.keys(verbs), ` ${nounName}`);
  const end = rest.indexOf('--');
  const before = end < 0 ? rest : rest.slice(0, end);
  if (before.includes('--help') || before.includes('-h')) {
    print(verbHelp(nounName, verbName, verb));
    return exits.ok;
  }
  const { openClient } = await import('./client.ts');
  const { openReceiptFile } = await import('./receipt-file.ts');
  const { signal } = interrupted;
  return verb.run(rest, {
    env: process.env,
    signal,
    output: json => openOutput(json, process.env, process.stdout, process.stderr),
    client: (output, receiptFile) =>
      openClient(process.env, signal, receiptFile && openReceiptFile(receiptFile, output)),
  });
}

async function help([noun, verb]: readonly string[]): Promise<number> {
  if (noun === undefined) {
    print(topHelp(nouns));
    return exits.ok;
  }
  return noun === 'start'
    ? main(['start', '--help'])
    : runVerb(noun, [...(verb === undefined ? [] : [verb]), '--help']);
}

async function version(): Promise<number> {
  const { readFile } = await import('node:fs/promises');
  const { version } = JSON.parse(await readFile(new URL('../package.json', import.meta.url), 'utf8'));
  print(String(version));
  return exits.ok;
}

function isHelp(word: string): boolean {
  return word === 'help' || word === '--help' || word === '-h';
}

function own<T>(table: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(table, name) ? table[name] : undefined;
}

function unknown(kind: string, typed: string, known: readonly string[], of: string): UsageError {
  const near = nearest(typed, known);
  const hint = near === undefined ? `Known: ${known.join(', ')}` : `Did you mean: apphub${of} ${near}`;
  return new UsageError(`There is no ${kind} "${typed}"${of === '' ? '' : ` of${of}`}.\n${hint}`);
}

/** Points to the help of what was being attempted: the words before the first option, two at most. */
function helpHint(): string {
  const [noun = '', verb = ''] = process.argv.slice(2, 4);
  const words = [noun, ...(verb.startsWith('-') || verb === '' ? [] : [verb])];
  return `More: apphub ${words.join(' ')} --help`;
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** A reader that has seen enough (`| head`) is no failure. */
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(process.exitCode ?? exits.ok);
    throw error;
  });
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (interrupted.signal.aborted) process.exitCode = exits.interrupted;
  else {
    const lines = linesOf(error);
    const hint = error instanceof UsageError && !error.message.includes('\n') ? [helpHint()] : [];
    openOutput(false, process.env, process.stdout, process.stderr).error([...lines, ...hint]);
    process.exitCode = exitOf(error);
  }
}
