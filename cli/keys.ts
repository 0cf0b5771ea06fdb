/** `apphub keys`: API keys for programs. */
import type { ApiKey, MadeKey, Many } from './api.ts';
import { wrote } from './apps.ts';
import { exits, UsageError } from './exit.ts';
import { relative } from './format.ts';
import { type Output, status } from './output.ts';
import { defineVerb, secondsOf, type Verb, wholeNumber } from './verb.ts';

const rowsMax = 1_000;

const list = defineVerb({
  summary: 'List API keys, newest first',
  words: '',
  options: {
    all: { type: 'boolean', help: 'Those of everybody, for administrators' },
    limit: { type: 'string', short: 'n', default: '20', value: 'count', help: 'At most so many; default 20' },
  },
  examples: ['apphub keys list', 'apphub keys list --all --json'],
  run: async ({ options, client, out }) => {
    const limit = wholeNumber('limit', options.limit ?? '20', 1, rowsMax);
    const answer = await client.list<ApiKey>('/auth/api-keys', { all: options.all }, limit);
    if (out.json) out.document(answer);
    else keyRows(out, answer);
    return exits.ok;
  },
});

const create = defineVerb({
  summary: 'Make an API key with no more than your own scopes',
  words: '<name>',
  options: {
    scope: { type: 'string', multiple: true, value: 'scope', help: 'What it may do; repeat for several' },
    app: {
      type: 'string',
      multiple: true,
      value: 'id',
      help: 'The only apps it is good for, such as shop or "team-*"; repeat; default: all of yours',
    },
    expires: {
      type: 'string',
      value: 'time',
      help: 'It ends after 90, 10m, 2h or 30d, or never; default 90 days',
    },
  },
  examples: [
    'apphub keys create nightly --scope apps:read --scope apps:launch --app "team-*" --expires 30d',
    'APPHUB_TOKEN=$(apphub keys create ci --scope "apps:*")',
  ],
  about: 'The key is printed once, alone on standard output, and kept nowhere.',
  run: async ({ words: [name = ''], options, client, out }) => {
    const { scope: scopes, app: apps, expires } = options;
    if (scopes === undefined) throw new UsageError('--scope is missing; apphub keys create --help');
    const ends = expires === undefined ? {} : { expiresInSeconds: endOf(expires) };
    const body = { name, scopes, apps, ...ends };
    shown(out, await client.write<MadeKey>('POST', '/auth/api-keys', body, null), `Made key ${name}`);
    return exits.ok;
  },
});

const rotate = defineVerb({
  summary: 'Replace a key by a new one of the same scopes',
  words: '<key>',
  options: {
    overlap: {
      type: 'string',
      value: 'time',
      help: 'The one before stays good for 90, 10m, 2h or 7d; default 0',
    },
  },
  examples: ['apphub keys rotate 0199… --overlap 1h'],
  about: 'The new key is printed once, alone on standard output, and kept nowhere.',
  run: async ({ words: [id = ''], options, client, out }) => {
    const { overlap } = options;
    const body = overlap === undefined ? {} : { overlapSeconds: secondsOf('overlap', overlap) };
    shown(out, await client.write<MadeKey>('POST', keyPath(id, 'rotate'), body, null), 'Rotated key');
    return exits.ok;
  },
});

const revoke = defineVerb({
  summary: 'Revoke a key at once',
  words: '<key>',
  options: {},
  examples: ['apphub keys revoke 0199…'],
  run: ({ words: [id = ''], client, out }) =>
    wrote(out, client.write('DELETE', keyPath(id)), `Revoked key ${id}.`),
});

export const verbs: Readonly<Record<string, Verb>> = { list, create, rotate, revoke };

function keyPath(...parts: readonly string[]): string {
  return `/auth/api-keys/${parts.map(encodeURIComponent).join('/')}`;
}

const endOf = (text: string): number | null => (text === 'never' ? null : secondsOf('expires', text));

/** The key alone goes to standard output, for a script to keep. */
function shown(out: Output, made: MadeKey, did: string): void {
  if (out.json) {
    out.document(made);
    return;
  }
  out.note(`${did}: ${made.data.id}. This is the only time it is shown.`);
  out.line(made.data.key);
}

function keyRows(out: Output, { data }: Many<ApiKey>): void {
  if (data.length === 0) {
    out.note('There are no keys yet.');
    return;
  }
  out.table(
    [
      { title: 'KEY' },
      { title: 'OWNER', shrinks: true },
      { title: 'NAME', shrinks: true },
      { title: 'STATUS' },
      { title: 'SCOPES', shrinks: true },
      { title: 'APPS', shrinks: true },
      { title: 'HINT' },
      { title: 'ENDS' },
      { title: 'LAST USED' },
    ],
    data.map(key => [
      key.id,
      key.owner,
      key.name,
      key.status,
      key.scopes.join(' '),
      key.apps?.join(' ') ?? 'all',
      `…${key.hint}`,
      relative(key.expiresAt),
      relative(key.lastSeenAt),
    ]),
    (cell, column) => (column === 3 ? status(out, cell) : cell),
  );
}
