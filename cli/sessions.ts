/** `apphub sessions`: who is signed in on a browser. */
import type { Many, Session } from './api.ts';
import { wrote } from './apps.ts';
import { exits } from './exit.ts';
import { relative } from './format.ts';
import { type Output, status } from './output.ts';
import { defineVerb, type Verb, wholeNumber } from './verb.ts';

const rowsMax = 1_000;

const list = defineVerb({
  summary: 'List sessions of browsers, newest first',
  words: '',
  options: {
    all: { type: 'boolean', help: 'Those of everybody, for administrators' },
    limit: { type: 'string', short: 'n', default: '20', value: 'count', help: 'At most so many; default 20' },
  },
  examples: ['apphub sessions list', 'apphub sessions list --all'],
  run: async ({ options, client, out }) => {
    const limit = wholeNumber('limit', options.limit ?? '20', 1, rowsMax);
    const answer = await client.list<Session>('/auth/sessions', { all: options.all }, limit);
    if (out.json) out.document(answer);
    else sessionRows(out, answer);
    return exits.ok;
  },
});

const end = defineVerb({
  summary: 'End a session at once',
  words: '<session>',
  options: {},
  examples: ['apphub sessions end 0199…'],
  run: ({ words: [id = ''], client, out }) =>
    wrote(out, client.write('DELETE', `/auth/sessions/${encodeURIComponent(id)}`), `Ended session ${id}.`),
});

export const verbs: Readonly<Record<string, Verb>> = { list, end };

function sessionRows(out: Output, { data }: Many<Session>): void {
  if (data.length === 0) {
    out.note('Nobody has signed in yet.');
    return;
  }
  out.table(
    [
      { title: 'SESSION' },
      { title: 'WHO', shrinks: true },
      { title: 'STATUS' },
      { title: 'OPENED' },
      { title: 'LAST SEEN' },
      { title: 'FROM' },
      { title: 'BROWSER', shrinks: true },
    ],
    data.map(one => [
      one.id,
      one.name === one.subject ? one.subject : `${one.name} (${one.subject})`,
      one.status,
      relative(one.openedAt),
      relative(one.lastSeenAt),
      one.lastSeenIp ?? one.ip ?? '-',
      one.userAgent ?? '-',
    ]),
    (cell, column) => (column === 2 ? status(out, cell) : cell),
  );
}
