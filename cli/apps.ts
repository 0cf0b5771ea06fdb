/** `apphub apps`: registering, finding, looking at and changing apps. */
import path from 'node:path';
import type { App, HistoryEntry, Ingestion, Many, One } from './api.ts';
import { appCard, appRows, historyRows } from './app-view.ts';
import type { Client } from './client.ts';
import { exits, UsageError } from './exit.ts';
import type { Output } from './output.ts';
import { sandbox } from './sandbox.ts';
import { count, progressLine } from './say.ts';
import { defineVerb, type Given, type Options, tagOf, type Verb, wholeNumber } from './verb.ts';
import { watch } from './watch.ts';

const rowsMax = 1_000;
const limitDefault = '20';
const idCharsMax = 64;

const described = {
  name: { type: 'string', value: 'text', help: 'What people call it' },
  description: { type: 'string', value: 'text', help: 'What it is; default: what the README says' },
  ref: { type: 'string', value: 'ref', help: 'Branch or tag to follow; default: the repository’s HEAD' },
  dockerfile: {
    type: 'string',
    value: 'path',
    help: 'Path of the Dockerfile; default: the one that is found',
  },
  homepage: { type: 'string', value: 'url', help: 'Where more can be read' },
  owner: { type: 'string', value: 'who', help: 'Who answers for it' },
} as const satisfies Options;

const keyed = {
  'idempotency-key': { type: 'string', value: 'key', help: 'The same key again changes nothing again' },
} as const satisfies Options;

const followed = {
  watch: { type: 'boolean', short: 'w', help: 'Follow the ingestion; the exit code says how it ended' },
} as const satisfies Options;

const filters = {
  tag: {
    type: 'string',
    multiple: true,
    value: 'key:value',
    help: 'Only with this tag; repeat for all of several',
  },
  status: { type: 'string', value: 'status', help: 'pending, processing, ready, failed or archived' },
  owner: { type: 'string', value: 'who', help: 'Only of this owner' },
  sort: { type: 'string', value: 'order', help: 'relevance, updated or name' },
  limit: {
    type: 'string',
    short: 'n',
    default: limitDefault,
    value: 'count',
    help: 'At most so many; default 20',
  },
} as const satisfies Options;

const add = defineVerb({
  summary: 'Register a Git repository as an app',
  words: '<repository>',
  options: {
    id: { type: 'string', value: 'id', help: 'Its name in addresses; default: made from the repository’s' },
    ...described,
    tag: { type: 'string', multiple: true, value: 'key:value', help: 'A tag to give it; may be repeated' },
    ...followed,
    ...keyed,
  },
  examples: [
    'apphub apps add https://git.example.org/team/shop.git --tag team:web --watch',
    'apphub apps add ./shop --id shop   # where the server allows local repositories',
  ],
  run: async ({ words: [given = ''], options, client, out, signal }) => {
    const repoUrl = /^\.{1,2}(\/|$)/.test(given) ? path.resolve(given) : given;
    const id = options.id ?? idFrom(repoUrl);
    const body = {
      id,
      name: options.name ?? id,
      repoUrl,
      tags: (options.tag ?? []).map(tagOf),
      ...descriptionOf({ ...options, name: undefined }),
    };
    const written = await client.write('POST', '/apps', body, options['idempotency-key']);
    if (options.watch) return watchIngestion(client, out, id, written.data.position, signal);
    if (out.json) out.document(written);
    else out.line(`Registered ${out.paint('bold', id)}. Follow it with: apphub apps show ${id} --watch`);
    return exits.ok;
  },
});

const list = defineVerb({
  summary: 'List apps, the ones that changed last first',
  looksBack: true,
  words: '',
  options: filters,
  examples: [
    'apphub apps list --status failed',
    'apphub apps list --tag language:go --json | jq -r ".data[].id"',
  ],
  run: given => showApps(given, undefined),
});

const search = defineVerb({
  summary: 'Find apps by words and tags',
  looksBack: true,
  words: '<word>...',
  options: filters,
  examples: ['apphub apps search shop language:javascript', 'apphub apps search "dash board" --owner ada'],
  about:
    'Every word must be found: in the name, the tags or the description. A word key:value asks for that tag.',
  run: given => showApps(given, given.words.join(' ')),
});

const show = defineVerb({
  summary: 'Show one app: source, tags, last ingestion and build',
  looksBack: true,
  words: '<app>',
  options: followed,
  examples: ['apphub apps show shop', 'apphub apps show shop --watch'],
  run: async ({ words: [id = ''], options, client, out, signal }) => {
    if (options.watch) return watchIngestion(client, out, id, undefined, signal);
    await showApp(client, out, id, undefined);
    return exits.ok;
  },
});

const edit = defineVerb({
  summary: 'Change what is said of an app',
  words: '<app>',
  options: { repository: { type: 'string', value: 'url', help: 'Where its source is now' }, ...described },
  examples: [
    'apphub apps edit shop --owner ada --ref main',
    'apphub apps edit shop --homepage ""   # take it away',
  ],
  run: async ({ words: [id = ''], options, client, out }) => {
    const { repository, ...rest } = options;
    const body = { ...(repository === undefined ? {} : { repoUrl: repository }), ...descriptionOf(rest) };
    if (Object.keys(body).length === 0) throw new UsageError('Nothing to change; name at least one option');
    const written = await client.write('PATCH', appPath(id), body);
    if (out.json) out.document(written);
    else out.line(`Changed ${Object.keys(body).join(', ')} of ${id}.`);
    return exits.ok;
  },
});

const archive = defineVerb({
  summary: 'Take an app out of the catalogue; its history stays',
  words: '<app>',
  options: {},
  examples: ['apphub apps archive shop'],
  run: ({ words: [id = ''], client, out }) =>
    wrote(out, client.write('DELETE', appPath(id)), `Archived ${id}.`),
});

const retry = defineVerb({
  summary: 'Ingest an app anew',
  words: '<app>',
  options: { ...followed, ...keyed },
  examples: ['apphub apps retry shop --watch'],
  run: async ({ words: [id = ''], options, client, out, signal }) => {
    const sent = client.write('POST', appPath(id, 'retry'), undefined, options['idempotency-key']);
    if (options.watch) return watchIngestion(client, out, id, (await sent).data.position, signal);
    return wrote(out, sent, `Queued another ingestion of ${id}.`);
  },
});

const cancel = defineVerb({
  summary: 'Cancel the ingestion that is queued or running',
  words: '<app>',
  options: {},
  examples: ['apphub apps cancel shop'],
  run: ({ words: [id = ''], client, out }) =>
    wrote(out, client.write('POST', appPath(id, 'cancel')), `Cancelled the ingestion of ${id}.`),
});

const tag = defineVerb({
  summary: 'Give an app tags',
  words: '<app> <key:value>...',
  options: {},
  examples: ['apphub apps tag shop team:web tier:gold'],
  run: given =>
    changeTags(given, (client, id, pair) => client.write('POST', appPath(id, 'tags'), pair), 'Tagged'),
});

const untag = defineVerb({
  summary: 'Take tags from an app',
  words: '<app> <key:value>...',
  options: {},
  examples: ['apphub apps untag shop tier:gold'],
  run: given =>
    changeTags(
      given,
      (client, id, { key, value }) => client.write('DELETE', appPath(id, 'tags', key, value)),
      'Took from',
    ),
});

const history = defineVerb({
  summary: 'Everything that happened to an app, its builds and launches',
  looksBack: true,
  words: '<app>',
  options: { limit: filters.limit },
  examples: ['apphub apps history shop -n 100'],
  run: async ({ words: [id = ''], options, client, out }) => {
    await showHistory(client, out, id, wholeNumber('limit', options.limit ?? limitDefault, 1, rowsMax));
    return exits.ok;
  },
});

export const verbs: Readonly<Record<string, Verb>> = {
  add,
  list,
  show,
  search,
  edit,
  archive,
  retry,
  cancel,
  tag,
  untag,
  sandbox,
  history,
};

export function appPath(...parts: readonly string[]): string {
  return `/apps/${parts.map(encodeURIComponent).join('/')}`;
}

/** The answer to a write: the document for a program, a sentence for people. */
export async function wrote(out: Output, written: Promise<unknown>, sentence: string): Promise<number> {
  const answer = await written;
  if (out.json) out.document(answer);
  else out.line(sentence);
  return exits.ok;
}

export async function showHistory(client: Client, out: Output, id: string, limit: number): Promise<void> {
  const answer = await client.list<HistoryEntry>(appPath(id, 'history'), {}, limit);
  if (out.json) out.document(answer);
  else historyRows(out, answer.data);
}

async function showApps(
  { options, client, out }: Given<typeof filters>,
  q: string | undefined,
): Promise<number> {
  const limit = wholeNumber('limit', options.limit ?? limitDefault, 1, rowsMax);
  const { tag = [], status, owner, sort } = options;
  for (const text of tag) tagOf(text);
  const answer = await client.list<App>(
    '/apps',
    { q, tags: tag.join(',') || undefined, status, owner, sort },
    limit,
  );
  if (out.json) {
    out.document(answer);
    return exits.ok;
  }
  if (answer.data.length === 0) {
    out.note(q === undefined ? 'There are no apps like that yet.' : 'No app fits.');
    return exits.ok;
  }
  appRows(out, answer.data);
  const { total } = answer.meta ?? {};
  if (total !== undefined && total.count > answer.data.length) {
    const all = `${total.exact ? '' : 'at least '}${count(total.count, 'app')}`;
    out.note(`${answer.data.length} of ${all}; more with --limit`);
  }
  return exits.ok;
}

async function changeTags(
  { words: [id = '', ...texts], client, out }: Given<Options>,
  change: (client: Client, id: string, pair: { key: string; value: string }) => ReturnType<Client['write']>,
  did: string,
): Promise<number> {
  const pairs = texts.map(tagOf);
  let last: Awaited<ReturnType<Client['write']>> | undefined;
  for (const pair of pairs) last = await change(client, id, pair);
  return wrote(out, Promise.resolve(last), `${did} ${id}: ${texts.join(', ')}.`);
}

async function showApp(client: Client, out: Output, id: string, after: string | undefined): Promise<void> {
  const answer = await client.get<One<App>>(appPath(id), { after });
  if (out.json) {
    out.document(answer);
    return;
  }
  const { data } = await client.get<Many<Ingestion>>(appPath(id, 'ingestions'), { limit: 1, after });
  appCard(out, answer.data, data[0]);
}

/**
 * Follows the ingestion that a write at `from` set off (or the one under way) until the app is ready, or is
 * not going to be.
 */
async function watchIngestion(
  client: Client,
  out: Output,
  id: string,
  from: string | null | undefined,
  signal: AbortSignal,
): Promise<number> {
  const over: Readonly<Record<string, number>> = {
    ready: exits.ok,
    failed: exits.failed,
    archived: exits.failed,
    IngestionSucceeded: exits.ok,
    IngestionFailed: exits.failed,
    IngestionCancelled: exits.failed,
  };
  const { code, position } = await watch(
    client,
    out,
    {
      stream: `apps.ingestion-${id}`,
      from,
      say: event => progressLine(out, event),
      ends: event => over[event.type],
      isOver: async () => over[(await client.get<One<App>>(appPath(id), { after: from })).data.status],
    },
    signal,
  );
  if (out.json) {
    const { data } = await client.get<One<App>>(appPath(id), { after: position });
    out.record({ kind: 'result', data });
  } else {
    out.line();
    await showApp(client, out, id, position);
  }
  return code;
}

/** The fields of a description among the options; an empty text takes the field away. */
function descriptionOf(options: { readonly [K in keyof typeof described]?: string | undefined }) {
  const { name, dockerfile, ...rest } = options;
  const pairs = Object.entries({ name, dockerfilePath: dockerfile, ...pick(rest) });
  return Object.fromEntries(
    pairs
      .filter(([, value]) => value !== undefined)
      .map(([field, value]) => [field, value === '' ? null : value]),
  );
}

function pick(options: { readonly [name: string]: unknown }) {
  const { description, ref, homepage, owner } = options;
  return { description, ref, homepage, owner };
}

/** The last part of the address as an id: `https://host/team/My_Shop.git` → `my-shop`. */
function idFrom(repoUrl: string): string {
  const last = repoUrl.replace(/\/+$/, '').split(/[/:]/).at(-1) ?? '';
  const id = last
    .replace(/\.git$/i, '')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^[^a-z]+|-+$/g, '')
    .slice(0, idCharsMax);
  if (/^[a-z][a-z0-9-]{2,63}$/.test(id)) return id;
  throw new UsageError(`No id can be made from "${repoUrl}"; give one with --id`);
}
