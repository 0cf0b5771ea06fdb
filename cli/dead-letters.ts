/** `apphub dead-letters`: events that a projection cannot apply, what waits behind them, and what can be done. */
import { wrote } from './apps.ts';
import type { Client } from './client.ts';
import { exits, UsageError } from './exit.ts';
import { plain, relative } from './format.ts';
import type { Output } from './output.ts';
import { count } from './say.ts';
import { defineVerb, type Verb } from './verb.ts';

const rowsMax = 1_000;

/** As in `GET /dead-letters`. */
type Letter = {
  projection: string;
  generation: number;
  isLive: boolean;
  position: string;
  stream: string;
  type: string;
  error: string;
  attempts: number;
  waiting: number;
  skipReason: string | null;
  needsRebuild: boolean;
  nextTryAt: string | null;
  firstAt: string;
  lastAt: string;
};

const pathOf = (projection: string) => `/projections/${encodeURIComponent(projection)}`;
const letterPath = (projection: string, position: string) =>
  `${pathOf(projection)}/dead-letters/${encodeURIComponent(position)}`;

const list = defineVerb({
  summary: 'List events that projections cannot apply, the oldest first',
  words: '[<projection>]',
  options: {},
  examples: ['apphub dead-letters', 'apphub dead-letters list apps_builds --json'],
  about:
    'Each stops its stream in that projection only; what comes later in the stream waits behind it, in order.',
  run: async ({ words: [projection], client, out }) => {
    const found = await client.list<Letter>('/dead-letters', { projection }, rowsMax);
    if (out.json) out.document(found);
    else rowsOf(out, found.data);
    return exits.ok;
  },
});

const show = defineVerb({
  summary: 'Show one of them, with its error',
  words: '<projection> <position>',
  options: {},
  examples: ['apphub dead-letters show apps_builds 8191'],
  run: async ({ words: [projection = '', position = ''], client, out }) => {
    const found = await client.get<{ data: Letter }>(letterPath(projection, position));
    if (out.json) out.document(found);
    else detailsOf(out, found.data);
    return exits.ok;
  },
});

const replay = defineVerb({
  summary: 'Try one of them again now, or all of a projection',
  words: '<projection> [<position>]',
  options: {},
  examples: ['apphub dead-letters replay apps_builds', 'apphub dead-letters replay apps_builds 8191'],
  about:
    'What can be applied is, with what waits behind it. What others have overtaken is put in its place by a rebuild.',
  run: async ({ words: [projection = '', position], client, out }) => {
    if (position !== undefined) await there(client, projection, position);
    const path =
      position === undefined
        ? `${pathOf(projection)}/dead-letters/replay`
        : `${letterPath(projection, position)}/replay`;
    const what = position === undefined ? 'Every dead letter' : `Dead letter ${position}`;
    return wrote(out, client.write('POST', path), `${what} of ${projection} is tried again.`);
  },
});

const skip = defineVerb({
  summary: 'Leave an event out, and go on with what waits behind it',
  words: '<projection> <position>',
  options: { reason: { type: 'string', value: 'text', help: 'Why; it is kept in the log' } },
  examples: ['apphub dead-letters skip apps_builds 8191 --reason "written by a tool that is gone"'],
  about: 'The tables are then not what the log says: better mend the code, and replay.',
  run: async ({ words: [projection = '', position = ''], options: { reason }, client, out }) => {
    if (reason === undefined) throw new UsageError('--reason is missing: say why this event is left out');
    await there(client, projection, position);
    const written = client.write('POST', `${letterPath(projection, position)}/skip`, { reason });
    return wrote(out, written, `Event ${position} is left out of ${projection}.`);
  },
});

const accept = defineVerb({
  summary: 'Show tables that were made anew although they have more dead letters than what is read',
  words: '<projection>',
  options: { reason: { type: 'string', value: 'text', help: 'Why; it is kept in the log' } },
  examples: ['apphub dead-letters accept apps_builds --reason "these builds are of no use"'],
  run: async ({ words: [projection = ''], options: { reason }, client, out }) => {
    if (reason === undefined)
      throw new UsageError('--reason is missing: say why they are shown all the same');
    const written = client.write('POST', `${pathOf(projection)}/show`, { reason });
    return wrote(out, written, `New tables of ${projection} are shown once they have caught up.`);
  },
});

export const verbs: Readonly<Record<string, Verb>> = { list, show, replay, skip, accept };

/** What is asked of one that is not there is noted, and nothing comes of it: better say so at once. */
const there = (client: Client, projection: string, position: string) =>
  client.get(letterPath(projection, position));

function rowsOf(out: Output, letters: readonly Letter[]): void {
  if (letters.length === 0) {
    out.note('Every projection has applied all that it has read.');
    return;
  }
  out.table(
    [
      { title: 'PROJECTION' },
      { title: 'POSITION', right: true },
      { title: 'TYPE' },
      { title: 'STREAM', shrinks: true },
      { title: 'WAITING', right: true },
      { title: 'TRIED', right: true },
      { title: 'NEXT' },
      { title: 'ERROR', shrinks: true },
    ],
    letters.map(one => [
      one.isLive ? one.projection : `${one.projection} (${one.generation})`,
      one.position,
      one.type,
      one.stream,
      String(one.waiting),
      String(one.attempts),
      nextOf(one),
      plain(one.error),
    ]),
  );
}

function nextOf({ needsRebuild, nextTryAt }: Letter): string {
  if (needsRebuild) return 'by a rebuild';
  return nextTryAt === null ? 'when asked' : relative(nextTryAt);
}

function detailsOf(out: Output, letter: Letter): void {
  const { projection, position, type, stream, attempts, waiting, firstAt, lastAt, error, skipReason } =
    letter;
  out.line(`${type} at ${position} of ${stream}, in ${projection}`);
  out.line(plain(error));
  out.line(
    `First ${relative(firstAt)}, last ${relative(lastAt)}, ${count(attempts, 'attempt')}; next ${nextOf(letter)}`,
  );
  out.line(`${count(waiting, 'later event')} of the stream waiting`);
  if (skipReason !== null) out.line(`Skipped: ${plain(skipReason)}`);
}
