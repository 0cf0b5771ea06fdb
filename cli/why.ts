/** `apphub why`: which event set a value, who did that and by what; and what led to an event and came of it. */
import type { Many, One } from './api.ts';
import { asOfOption } from './as-of.ts';
import { exits, UsageError } from './exit.ts';
import { plain, relative } from './format.ts';
import type { Output } from './output.ts';
import { defineVerb, type Verb } from './verb.ts';

const valueCharsMax = 60;
const kinds = ['apps', 'builds', 'launches', 'workspaces'];

/** As in `GET /apps/:appId/why`. */
type Event = {
  position: string;
  type: string;
  at: string;
  actor: string;
  command: string | null;
  cause: { position: string; type: string } | null;
};
type Change = { value: unknown; event: Event };
type Field = Change & { field: string; changes: Change[] };

/** As in `GET /events/:position/causes`. */
type Node = { position: string; type: string; stream: string; at: string; actor: string; depth: number };
type Causes = {
  event: Node;
  command: string | null;
  causes: Node[];
  effects: Node[];
  others: number;
  isCut: boolean;
};

const show = defineVerb({
  summary: 'Show the event that set each value, or what led to an event',
  words: '<thing> [<field>]',
  options: asOfOption,
  examples: [
    'apphub why apps/shop',
    'apphub why launches/0190a5c2-7f3e-7a21-9c55-3f2d8e6b4a10 status',
    'apphub why events/1834 --json',
  ],
  about:
    'A thing is apps/<app>, builds/<build>, launches/<launch>, workspaces/<workspace> or events/<position>. ' +
    'With a field, every change of it is shown, newest first.',
  run: async ({ words: [thing = '', field], client, out }) => {
    const [kind = '', id = '', ...rest] = thing.split('/');
    if (id === '' || rest.length > 0 || ![...kinds, 'events'].includes(kind)) {
      throw new UsageError(
        `"${thing}" is no ${kinds.map(one => `${one}/<id>`).join(', ')} or events/<position>`,
      );
    }
    const path = `/${kind}/${encodeURIComponent(id)}`;
    if (kind === 'events') {
      if (field !== undefined) throw new UsageError('An event has no fields');
      const answer = await client.get<One<Causes>>(`${path}/causes`);
      if (out.json) out.document(answer);
      else tree(out, answer.data);
      return exits.ok;
    }
    const answer = await client.get<Many<Field>>(`${path}/why`, { field });
    if (out.json) out.document(answer);
    else if (field === undefined) table(out, answer.data);
    else changes(out, answer.data[0]?.changes ?? []);
    return exits.ok;
  },
});

const heads = [
  { title: 'VALUE', shrinks: true },
  { title: 'SINCE' },
  { title: 'BY', shrinks: true },
  { title: 'EVENT' },
  { title: 'POSITION', right: true },
  { title: 'THROUGH', shrinks: true },
];

function table(out: Output, fields: readonly Field[]): void {
  out.table(
    [{ title: 'FIELD' }, ...heads],
    fields.map(one => [one.field, ...cells(one)]),
    (cell, column) => (column === 0 ? out.paint('bold', cell) : cell),
  );
}

function changes(out: Output, all: readonly Change[]): void {
  out.table(heads, all.map(cells));
}

/** What set it: the request, or what the platform acted on. */
const cells = ({ value, event }: Change): string[] => [
  short(value),
  relative(event.at),
  plain(event.actor),
  event.type,
  event.position,
  event.command ?? (event.cause === null ? '-' : `${event.cause.type} (${event.cause.position})`),
];

function short(value: unknown): string {
  const text = plain(typeof value === 'string' ? value : JSON.stringify(value));
  return text.length > valueCharsMax ? `${text.slice(0, valueCharsMax - 1)}…` : text;
}

function tree(out: Output, { event, command, causes, effects, others, isCut }: Causes): void {
  const above = causes.length;
  if (command !== null) out.line(command);
  for (const node of [...causes, event, ...effects]) {
    const indent = '  '.repeat(above + node.depth + (command === null ? 0 : 1));
    const text = `${node.type}  ${node.position}  ${relative(node.at)}  by ${plain(node.actor)}  ${node.stream}`;
    out.line(`${indent}${node === event ? out.paint('bold', text) : text}`);
  }
  if (others > 0) out.note(`${others} more of the same correlation are neither before nor behind it.`);
  if (isCut) out.note('There are more events than are shown.');
}

export const verbs: Readonly<Record<string, Verb>> = { show };
