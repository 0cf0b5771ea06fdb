/** `apphub projections`: how the tables stand, having them made anew or mended, and watching it. */
import type { Many, Written } from './api.ts';
import type { Client } from './client.ts';
import { exits, UsageError } from './exit.ts';
import { plain, relative } from './format.ts';
import type { Output } from './output.ts';
import { auditWords, besideWords, openProgress, type Projection } from './projection-progress.ts';
import { count, keyWords } from './say.ts';
import { defineVerb, type Verb } from './verb.ts';

const lookMs = 400;

/** As in `GET /projections/:projection/divergences`. */
type Divergence = {
  table: string;
  key: string;
  kind: string;
  columns: string[];
  position: string | null;
  soundUpTo: string | null;
  foundAt: string;
};

const list = defineVerb({
  summary: 'How the tables stand, and what the self-audit found in them',
  words: '',
  options: {},
  examples: ['apphub projections', 'apphub projections list --json'],
  run: async ({ client, out }) => {
    const found = await read(client);
    if (out.json) out.document(found);
    else projectionRows(out, found.data);
    return exits.ok;
  },
});

const rebuild = defineVerb({
  summary: 'Make tables anew from the log, beside those that are read, and show them once they are the same',
  words: '[<projection>]',
  options: {
    all: { type: 'boolean', short: 'a', help: 'All of them at once, fed by one reading of the log' },
    'no-wait': { type: 'boolean', help: 'Only ask for it' },
  },
  examples: ['apphub projections rebuild apps_builds', 'apphub projections rebuild --all'],
  about:
    'Readers see the tables of before until the new ones have caught up and were compared. If rows differ, they are not shown.',
  run: async ({ words: [name], options, client, out, signal }) => {
    if ((name === undefined) === (options.all !== true))
      throw new UsageError('name one projection, or give --all');
    const before = (await read(client)).data;
    const names = name === undefined ? before.map(one => one.name) : [name];
    const position = await askAll(client, names, 'rebuild');
    if (options['no-wait']) {
      if (out.json) out.document({ data: { names, position } });
      else out.line(`Asked for ${count(names.length, 'projection')} to be made anew.`);
      return exits.ok;
    }
    return follow({ client, out, signal, before, names, position });
  },
});

const rollback = defineVerb({
  summary: 'Show the tables again that were shown before',
  words: '<projection>',
  options: {},
  examples: ['apphub projections rollback apps_builds'],
  about: 'They are kept for a day and followed meanwhile, so they are up to date.',
  run: async ({ words: [name = ''], client, out, signal }) => {
    const before = (await read(client)).data;
    const position = await askAll(client, [name], 'rollback');
    const kept = before.find(one => one.name === name)?.beside.some(({ role }) => role === 'kept');
    if (kept !== true) {
      out.error([`There are no tables of ${plain(name)} to go back to: they are kept for a day.`]);
      return exits.conflict;
    }
    return follow({ client, out, signal, before, names: [name], position });
  },
});

const divergences = defineVerb({
  summary: 'Rows that are not what the log says',
  words: '<projection>',
  options: {},
  examples: ['apphub projections divergences apps_builds'],
  about: 'EVENT is the position of the first event that the row does not hold, where that can be known.',
  run: async ({ words: [name = ''], client, out }) => {
    const found = await client.get<Many<Divergence>>(`${pathOf(name)}/divergences`);
    if (out.json) out.document(found);
    else divergenceRows(out, found.data);
    return exits.ok;
  },
});

const repair = defineVerb({
  summary: 'Make the rows again from the log that the self-audit found wrong',
  words: '<projection>',
  options: {},
  examples: ['apphub projections repair apps_builds'],
  run: async ({ words: [name = ''], client, out, signal }) => {
    const position = await askAll(client, [name], 'repair');
    for (;;) {
      const { data } = await read(client, position);
      const audit = data.find(one => one.name === name)?.audit ?? null;
      if (audit === null) {
        out.error([
          'The self-audit is not there to do it: APPHUB_SELF_AUDIT_PERCENT is 0, or it has not begun.',
        ]);
        return exits.failed;
      }
      if (!audit.repairWanted) {
        if (out.json) out.document({ data: { name, position, audit } });
        else if (audit.repairProblem === null) out.line(`The rows of ${plain(name)} are what the log says.`);
        else out.error([plain(audit.repairProblem)]);
        return audit.repairProblem === null ? exits.ok : exits.failed;
      }
      await pause(signal);
    }
  },
});

export const verbs: Readonly<Record<string, Verb>> = { list, rebuild, rollback, divergences, repair };

const pathOf = (name: string) => {
  if (name === '') throw new UsageError('name a projection');
  return `/projections/${encodeURIComponent(name)}`;
};

const read = (client: Client, after?: string) => client.get<Many<Projection>>('/projections', { after });

/** Answers the position of the last request. */
async function askAll(client: Client, names: readonly string[], what: string): Promise<string> {
  let position = '0';
  for (const name of names) {
    const { data } = await client.write<Written>('POST', `${pathOf(name)}/${what}`);
    position = data.position ?? position;
  }
  return position;
}

type Followed = {
  readonly client: Client;
  readonly out: Output;
  readonly signal: AbortSignal;
  readonly before: readonly Projection[];
  readonly names: readonly string[];
  readonly position: string;
};

/** Until each of them is shown, or is not to be. */
async function follow({ client, out, signal, before, names, position }: Followed): Promise<number> {
  const progress = openProgress(out, before, names);
  for (;;) {
    // The request has been read once the tables have reached it: what is to be filled is there then.
    const { data } = await read(client, position);
    if (progress.show(data)) return progress.end();
    await pause(signal);
  }
}

const pause = (signal: AbortSignal) =>
  new Promise<void>((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const timer = setTimeout(resolve, lookMs);
    signal.addEventListener(
      'abort',
      () => {
        clearTimeout(timer);
        reject(signal.reason);
      },
      { once: true },
    );
  });

function projectionRows(out: Output, projections: readonly Projection[]): void {
  const head = [
    { title: 'PROJECTION' },
    { title: 'VERSION', right: true },
    { title: 'TABLES', right: true },
    { title: 'EVENTS', right: true },
    { title: 'BESIDE', shrinks: true },
    { title: 'SELF-AUDIT', shrinks: true },
  ];
  out.table(
    head,
    projections.map(one => [
      one.name,
      String(one.version),
      String(one.generation),
      one.events === null ? '-' : one.events.toLocaleString('en'),
      one.beside.map(besideWords).join('; ') || '-',
      auditWords(one),
    ]),
  );
}

function divergenceRows(out: Output, found: readonly Divergence[]): void {
  if (found.length === 0) {
    out.note('No row is known that is not what the log says.');
    return;
  }
  out.table(
    [
      { title: 'TABLE' },
      { title: 'ROW', shrinks: true },
      { title: 'WHAT' },
      { title: 'COLUMNS', shrinks: true },
      { title: 'EVENT', right: true },
      { title: 'SOUND AT', right: true },
      { title: 'FOUND' },
    ],
    found.map(one => [
      one.table,
      keyWords(one.key),
      one.kind,
      one.columns.join(', '),
      one.position ?? '-',
      one.soundUpTo ?? '-',
      relative(one.foundAt),
    ]),
  );
}
