/** `apphub workspaces`: what launches keep, and its snapshots. */
import type { LogEvent, Many, One, Snapshot, Workspace } from './api.ts';
import { appPath, wrote } from './apps.ts';
import type { Client } from './client.ts';
import { exits, UsageError } from './exit.ts';
import { duration, plain, relative, size } from './format.ts';
import { facts, type Output, status } from './output.ts';
import { progressLine } from './say.ts';
import { defineVerb, type Options, type Verb, wholeNumber } from './verb.ts';
import { watch } from './watch.ts';

const rowsMax = 1_000;

const watched = (help: string) =>
  ({ watch: { type: 'boolean', short: 'w', help } }) as const satisfies Options;
const keyed = {
  'idempotency-key': { type: 'string', value: 'key', help: 'The same key again changes nothing again' },
} as const satisfies Options;
const roomy = {
  size: { type: 'string', value: 'bytes', help: 'How much it may hold, as in 512m or 2g' },
} as const satisfies Options;

const list = defineVerb({
  summary: 'List workspaces, newest first',
  looksBack: true,
  words: '[<app>]',
  options: {
    limit: { type: 'string', short: 'n', default: '20', value: 'count', help: 'At most so many; default 20' },
  },
  examples: ['apphub workspaces list shop'],
  run: async ({ words: [app], options, client, out }) => {
    const limit = wholeNumber('limit', options.limit ?? '20', 1, rowsMax);
    const where = app === undefined ? '/workspaces' : appPath(app, 'workspaces');
    const answer = await client.list<Workspace>(where, {}, limit);
    if (out.json) out.document(answer);
    else workspaceRows(out, answer);
    return exits.ok;
  },
});

const create = defineVerb({
  summary: 'Make a workspace for an app that declares volumes',
  words: '<app> <name>',
  options: { ...roomy, ...keyed },
  examples: ['apphub workspaces create shop "Orders of March" --size 2g'],
  about: 'Then launch the app with it: apphub launches start <app> --workspace <workspace>',
  run: async ({ words: [app = '', name = ''], options, client, out }) => {
    const body = { name, ...roomOf(options.size) };
    const key = options['idempotency-key'];
    const written = await client.write('POST', appPath(app, 'workspaces'), body, key);
    return wrote(out, Promise.resolve(written), `Made workspace ${written.data.id}.`);
  },
});

const show = defineVerb({
  summary: 'Show one workspace and its snapshots',
  looksBack: true,
  words: '<workspace>',
  options: {},
  examples: ['apphub workspaces show 0199…'],
  run: async ({ words: [id = ''], client, out }) => {
    const answer = await client.get<One<Workspace>>(workspacePath(id));
    if (out.json) out.document(answer);
    else {
      workspaceCard(out, answer.data);
      snapshotRows(out, await client.get<Many<Snapshot>>(workspacePath(id, 'snapshots')));
    }
    return exits.ok;
  },
});

const change = defineVerb({
  summary: 'Give a workspace another name, or let it hold another amount',
  words: '<workspace>',
  options: { name: { type: 'string', value: 'text', help: 'What it is called' }, ...roomy },
  examples: ['apphub workspaces change 0199… --size 5g'],
  run: ({ words: [id = ''], options, client, out }) => {
    const { name, size: room } = options;
    if (name === undefined && room === undefined)
      throw new UsageError('Name what to change: --name or --size');
    const body = { ...(name === undefined ? {} : { name }), ...roomOf(room) };
    return wrote(out, client.write('PATCH', workspacePath(id), body), `Changed workspace ${id}.`);
  },
});

const snapshot = defineVerb({
  summary: 'Take a snapshot of what a workspace holds',
  words: '<workspace>',
  options: {
    live: { type: 'boolean', help: 'The app goes on meanwhile; files may be torn' },
    ...watched('Wait until it is taken, and fail when it is not'),
    ...keyed,
  },
  examples: ['apphub workspaces snapshot 0199… --watch'],
  about: 'An app that is running stands still while it is read; its visitors wait for as long.',
  run: async ({ words: [id = ''], options, client, out, signal }) => {
    const body = options.live ? { live: true } : {};
    const written = await client.write(
      'POST',
      workspacePath(id, 'snapshots'),
      body,
      options['idempotency-key'],
    );
    const { id: snapshotId, position: from } = written.data;
    if (!options.watch) return wrote(out, Promise.resolve(written), `Taking snapshot ${snapshotId}.`);
    return follow(
      client,
      out,
      { id, from, good: 'WorkspaceSnapshotTaken', bad: 'WorkspaceSnapshotFailed' },
      signal,
    );
  },
});

const snapshots = defineVerb({
  summary: 'List the snapshots of a workspace, newest first',
  looksBack: true,
  words: '<workspace>',
  options: {},
  examples: ['apphub workspaces snapshots 0199…'],
  run: async ({ words: [id = ''], client, out }) => {
    const answer = await client.get<Many<Snapshot>>(workspacePath(id, 'snapshots'));
    if (out.json) out.document(answer);
    else if (answer.data.length === 0) out.note('There are no snapshots of it.');
    else snapshotRows(out, answer);
    return exits.ok;
  },
});

const restore = defineVerb({
  summary: 'Put a snapshot back in the place of what a workspace holds',
  words: '<workspace> <snapshot>',
  options: { ...watched('Wait until it is back, and fail when it is not'), ...keyed },
  examples: ['apphub workspaces restore 0199… 0198… --watch'],
  about:
    'What the workspace holds now is lost: take a snapshot first. The launch that has it must be asleep or over.',
  run: async ({ words: [id = '', snapshotId = ''], options, client, out, signal }) => {
    const path = workspacePath(id, 'restore');
    const written = await client.write('POST', path, { snapshotId }, options['idempotency-key']);
    const from = written.data.position;
    if (!options.watch) return wrote(out, Promise.resolve(written), `Putting snapshot ${snapshotId} back.`);
    return follow(
      client,
      out,
      { id, from, good: 'WorkspaceRestored', bad: 'WorkspaceRestoreFailed' },
      signal,
    );
  },
});

const clone = defineVerb({
  summary: 'Make another workspace with the same content',
  words: '<workspace> <name>',
  options: {
    snapshot: { type: 'string', value: 'id', help: 'With that of a snapshot; default: as it is now' },
    ...roomy,
    ...watched('Wait until it has the content, and fail when it has not'),
    ...keyed,
  },
  examples: ['apphub workspaces clone 0199… "A copy to try things"'],
  run: async ({ words: [id = '', name = ''], options, client, out, signal }) => {
    const { snapshot: snapshotId } = options;
    const body = { name, ...(snapshotId === undefined ? {} : { snapshotId }), ...roomOf(options.size) };
    const written = await client.write('POST', workspacePath(id, 'clone'), body, options['idempotency-key']);
    const { id: cloneId, position: from } = written.data;
    if (!options.watch) return wrote(out, Promise.resolve(written), `Making workspace ${cloneId}.`);
    const asked = { id: cloneId, from, good: 'WorkspaceRestored', bad: 'WorkspaceRestoreFailed' };
    return follow(client, out, asked, signal);
  },
});

const remove = defineVerb({
  summary: 'Delete a workspace with all it holds and its snapshots, or one snapshot of it',
  words: '<workspace> [<snapshot>]',
  options: {},
  examples: ['apphub workspaces remove 0199…', 'apphub workspaces remove 0199… 0198…'],
  run: ({ words: [id = '', snapshotId], client, out }) =>
    snapshotId === undefined
      ? wrote(out, client.write('DELETE', workspacePath(id)), `Deleting workspace ${id}.`)
      : wrote(
          out,
          client.write('DELETE', workspacePath(id, 'snapshots', snapshotId)),
          `Removing snapshot ${snapshotId}.`,
        ),
});

export const verbs: Readonly<Record<string, Verb>> = {
  list,
  create,
  show,
  change,
  snapshot,
  snapshots,
  restore,
  clone,
  remove,
};

function workspacePath(...parts: readonly string[]): string {
  return `/workspaces/${parts.map(encodeURIComponent).join('/')}`;
}

const units: Readonly<Record<string, number>> = { '': 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3, t: 1024 ** 4 };

/** An amount from the command line: bytes, or with a unit of 1024. */
function roomOf(text: string | undefined): { bytesMax?: number } {
  if (text === undefined) return {};
  const [, digits, unit = ''] = /^(\d{1,15})([kmgt]?)$/i.exec(text) ?? [];
  if (digits === undefined) throw new UsageError(`--size is "${text}"; write bytes, or 512m, 2g`);
  return { bytesMax: Number(digits) * (units[unit.toLowerCase()] ?? 1) };
}

type Followed = { id: string; from: string | null; good: string; bad: string };

async function follow(
  client: Client,
  out: Output,
  { id, from, good, bad }: Followed,
  signal: AbortSignal,
): Promise<number> {
  const codeOf = ({ type }: LogEvent) => (type === good ? exits.ok : type === bad ? exits.failed : undefined);
  const { code, position } = await watch(
    client,
    out,
    {
      stream: `apps.workspace-${id}`,
      from,
      say: event => progressLine(out, event),
      ends: codeOf,
      isOver: async () => undefined,
    },
    signal,
  );
  const { data } = await client.get<One<Workspace>>(workspacePath(id), { after: position });
  if (out.json) out.record({ kind: 'result', data });
  else workspaceCard(out, data);
  return code;
}

function workspaceRows(out: Output, { data }: Many<Workspace>): void {
  if (data.length === 0) {
    out.note('There are no workspaces like that yet.');
    return;
  }
  out.table(
    [
      { title: 'WORKSPACE' },
      { title: 'APP', shrinks: true },
      { title: 'NAME', shrinks: true },
      { title: 'STATUS' },
      { title: 'HOLDS', right: true },
      { title: 'MAY', right: true },
      { title: 'LAUNCH' },
    ],
    data.map(one => [
      one.id,
      one.appId,
      plain(one.name),
      one.level === 'full' ? 'full' : one.status,
      size(one.bytes),
      size(one.bytesMax),
      one.launchId ?? '-',
    ]),
    (cell, column) => (column === 3 ? status(out, cell) : cell),
  );
}

function workspaceCard(out: Output, one: Workspace): void {
  out.line(`Workspace ${out.paint('bold', plain(one.name))} of ${one.appId}  ${status(out, one.status)}`);
  const holds = one.bytes === null ? '-' : `${size(one.bytes)} ${relative(one.weighedAt)}`;
  facts(out, [
    ['Id', one.id],
    ['Waiting', one.waitingFor],
    ['Holds', `${holds}, may hold ${size(one.bytesMax)}${one.level === 'full' ? ': it is full' : ''}`],
    ['Folders', one.paths.map(plain).join(', ')],
    ['Launch', one.launchId],
    ['Engine', one.engine],
    ['Made', `${relative(one.requestedAt)} by ${plain(one.owner)}`],
    ['Copied from', one.source?.workspaceId ?? null],
    ['Put back', one.restoredAt === null ? null : relative(one.restoredAt)],
    ['Failure', one.failure === null ? null : plain(one.failure)],
  ]);
}

function snapshotRows(out: Output, { data }: Many<Snapshot>): void {
  if (data.length === 0) return;
  out.table(
    [
      { title: 'SNAPSHOT' },
      { title: 'STATUS' },
      { title: 'FILES', right: true },
      { title: 'HOLDS', right: true },
      { title: 'STORED', right: true },
      { title: 'STILL', right: true },
      { title: 'REQUESTED' },
      { title: 'REASON', shrinks: true },
    ],
    data.map(one => [
      one.id,
      one.live ? `${one.status} live` : one.status,
      one.entries === null ? '-' : String(one.entries),
      size(one.contentBytes),
      size(one.bytes),
      duration(one.pausedMs),
      relative(one.requestedAt),
      one.reason === null ? '' : plain(one.reason),
    ]),
    (cell, column) => (column === 1 ? status(out, cell) : cell),
  );
}
