/** `apphub launches`: running previews of apps. */

import type { Launch, Many, One } from './api.ts';
import { appPath, wrote } from './apps.ts';
import type { Client } from './client.ts';
import { exits, UsageError } from './exit.ts';
import { duration, plain, relative } from './format.ts';
import { open, revokeLinks, share } from './launch-access.ts';
import { printLog } from './logs.ts';
import { facts, type Output, status } from './output.ts';
import { progressLine } from './say.ts';
import { defineVerb, type Options, secondsOf, type Verb, wholeNumber } from './verb.ts';
import { watch } from './watch.ts';

const rowsMax = 1_000;
const portMax = 65_535;
const tailLinesMax = 10_000;
const addressColumnsMin = 150;

const watched = (help: string) =>
  ({ watch: { type: 'boolean', short: 'w', help } }) as const satisfies Options;

const list = defineVerb({
  summary: 'List launches, newest first',
  words: '[<app>]',
  options: {
    status: {
      type: 'string',
      value: 'status',
      help: 'requested, starting, running, stopping, stopped, expired or failed',
    },
    limit: { type: 'string', short: 'n', default: '20', value: 'count', help: 'At most so many; default 20' },
  },
  examples: ['apphub launches list --status running', 'apphub launches list shop'],
  run: async ({ words: [app], options, client, out }) => {
    const limit = wholeNumber('limit', options.limit ?? '20', 1, rowsMax);
    const where = app === undefined ? '/launches' : appPath(app, 'launches');
    const answer = await client.list<Launch>(where, { status: options.status }, limit);
    if (out.json) out.document(answer);
    else launchRows(out, answer);
    return exits.ok;
  },
});

const start = defineVerb({
  summary: 'Run an app',
  words: '<app>',
  options: {
    build: { type: 'string', value: 'id', help: 'The build to run; default: the released one' },
    env: {
      type: 'string',
      short: 'e',
      multiple: true,
      value: 'KEY=value',
      help: 'A variable for the app; repeat',
    },
    profile: { type: 'string', value: 'size', help: 'small, medium or large' },
    ttl: { type: 'string', value: 'time', help: 'Stop it after 90, 10m, 2h or 7d; default an hour' },
    public: { type: 'boolean', help: 'Let everybody in who has the address; default: private' },
    port: {
      type: 'string',
      value: 'number',
      help: 'The port the app listens on; default: the one it exposes',
    },
    ...watched('Wait until it runs and print its address; fails when it does'),
    'idempotency-key': { type: 'string', value: 'key', help: 'The same key again changes nothing again' },
  },
  examples: [
    'apphub launches start shop --watch',
    'apphub launches start shop -e MODE=demo --profile small --ttl 30m',
  ],
  about: 'Variables are plain configuration that everybody may read in the history: no place for a secret.',
  run: async ({ words: [app = ''], options, client, out, signal }) => {
    const { build, env, profile, ttl, port, public: isPublic } = options;
    const body = {
      ...(build === undefined ? {} : { buildId: build }),
      ...(env === undefined ? {} : { env: env.map(variableOf) }),
      ...(profile === undefined ? {} : { resourceProfile: profile }),
      ...(ttl === undefined ? {} : { ttlSeconds: secondsOf('ttl', ttl) }),
      ...(isPublic === true ? { access: 'public' } : {}),
      ...(port === undefined ? {} : { port: wholeNumber('port', port, 1, portMax) }),
    };
    const written = await client.write('POST', appPath(app, 'launches'), body, options['idempotency-key']);
    const { id, position } = written.data;
    if (options.watch) return watchLaunch(client, out, { id, from: position, until: 'running' }, signal);
    const sentence = `Requested launch ${id}. Follow it with: apphub launches show ${id} --watch`;
    return wrote(out, Promise.resolve(written), sentence);
  },
});

const stop = defineVerb({
  summary: 'Stop a launch',
  words: '<launch>',
  options: watched('Wait until it is gone'),
  examples: ['apphub launches stop 0199…'],
  run: async ({ words: [id = ''], options, client, out, signal }) => {
    const written = await client.write('POST', launchPath(id, 'stop'));
    const from = written.data.position;
    if (options.watch) return watchLaunch(client, out, { id, from, until: 'over' }, signal);
    return wrote(out, Promise.resolve(written), `Stopping launch ${id}.`);
  },
});

const show = defineVerb({
  summary: 'Show one launch',
  words: '<launch>',
  options: watched('Wait until it runs, or is over'),
  examples: ['apphub launches show 0199…'],
  run: async ({ words: [id = ''], options, client, out, signal }) => {
    if (options.watch) return watchLaunch(client, out, { id, from: undefined, until: 'running' }, signal);
    const answer = await client.get<One<Launch>>(launchPath(id));
    if (out.json) out.document(answer);
    else launchCard(out, answer.data);
    return exits.ok;
  },
});

const logs = defineVerb({
  summary: 'Print what a running app writes',
  words: '<launch>',
  options: {
    follow: { type: 'boolean', short: 'f', help: 'Go on until it ends' },
    tail: { type: 'string', value: 'lines', help: 'Begin with so many lines of the end' },
  },
  examples: ['apphub launches logs -f 0199…', 'apphub launches logs --tail 50 0199…'],
  run: async ({ words: [id = ''], options, client, out, signal }) => {
    const { follow, tail } = options;
    const query = {
      ...(follow ? { follow: true } : {}),
      ...(tail === undefined ? {} : { tail: wholeNumber('tail', tail, 0, tailLinesMax) }),
    };
    await printLog(client, out, { path: launchPath(id, 'logs'), query, offset: undefined }, signal);
    return exits.ok;
  },
});

export const verbs: Readonly<Record<string, Verb>> = {
  list,
  start,
  stop,
  show,
  open,
  share,
  'revoke-links': revokeLinks,
  logs,
};

function launchPath(...parts: readonly string[]): string {
  return `/launches/${parts.map(encodeURIComponent).join('/')}`;
}

function variableOf(text: string): { key: string; value: string } {
  const at = text.indexOf('=');
  if (at < 1) throw new UsageError(`"${text}" is not a variable; write KEY=value`);
  return { key: text.slice(0, at), value: text.slice(at + 1) };
}

function launchRows(out: Output, { data }: Many<Launch>): void {
  if (data.length === 0) {
    out.note('There are no launches like that yet.');
    return;
  }
  const heads = [
    { title: 'LAUNCH' },
    { title: 'APP', shrinks: true },
    { title: 'STATUS' },
    { title: 'REQUESTED' },
    { title: 'ENDS' },
    { title: 'ADDRESS' },
  ];
  const rows = data.map(launch => [
    launch.id,
    launch.appId,
    launch.status,
    relative(launch.requestedAt),
    relative(launch.endedAt ?? launch.expiresAt),
    launch.status === 'running' ? launch.url : '-',
  ]);
  // Half an address is of no use: a narrow terminal leaves it to `launches open --print`.
  const shown = out.columns < addressColumnsMin ? heads.length - 1 : heads.length;
  out.table(
    heads.slice(0, shown),
    rows.map(row => row.slice(0, shown)),
    (cell, column) => (column === 2 ? status(out, cell) : cell),
  );
}

function launchCard(out: Output, launch: Launch): void {
  const { failure, startedInMs } = launch;
  out.line(`Launch ${out.paint('bold', launch.id)} of ${launch.appId}  ${status(out, launch.status)}`);
  facts(out, [
    ['Address', launch.status === 'running' ? plain(launch.url) : null],
    ['Access', launch.access ?? null],
    ['Waiting', launch.waitingFor],
    ['Image', launch.image],
    ['Build', launch.buildId],
    ['Size', launch.resourceProfile],
    ['Port', launch.port === null ? null : String(launch.port)],
    ['Variables', launch.env.map(({ key, value }) => plain(`${key}=${value}`)).join(', ')],
    ['Requested', relative(launch.requestedAt)],
    ['Ready after', duration(startedInMs)],
    [launch.endedAt === null ? 'Ends' : 'Ended', relative(launch.endedAt ?? launch.expiresAt)],
    ['Failure', failure === null ? null : plain(failure.reason)],
    ['Exit code', failure?.exitCode == null ? null : String(failure.exitCode)],
  ]);
  for (const line of failure?.lastLines ?? []) out.line(`    ${out.paint('dim', plain(line))}`);
}

type WatchedLaunch = { id: string; from: string | null | undefined; until: 'running' | 'over' };

async function watchLaunch(
  client: Client,
  out: Output,
  asked: WatchedLaunch,
  signal: AbortSignal,
): Promise<number> {
  const { id, from, until } = asked;
  const overCode = until === 'over' ? exits.ok : exits.failed;
  const over: Readonly<Record<string, number>> = {
    ...(until === 'running' ? { running: exits.ok, LaunchRunning: exits.ok } : {}),
    stopped: overCode,
    expired: overCode,
    failed: exits.failed,
    LaunchStopped: overCode,
    LaunchExpired: overCode,
    LaunchFailed: exits.failed,
  };
  const read = async (after: string | null | undefined) =>
    (await client.get<One<Launch>>(launchPath(id), { after })).data;
  const isOver = async () => {
    const now = await read(from);
    if (now.waitingFor != null) out.note(`Waiting: ${now.waitingFor}`);
    return over[now.status];
  };
  const { code, position } = await watch(
    client,
    out,
    {
      stream: `apps.launch-${id}`,
      from,
      say: event => progressLine(out, event),
      ends: event => over[event.type],
      isOver,
    },
    signal,
  );
  const data = await read(position);
  if (out.json) out.record({ kind: 'result', data });
  else if (code === exits.ok && until === 'running') {
    out.line(plain(data.url));
    if (data.access === 'private') out.note(`It is private: \`apphub launches open ${id}\` lets you in.`);
  } else launchCard(out, data);
  return code;
}
