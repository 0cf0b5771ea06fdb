/** `apphub launches`: running previews of apps. */

import type { Launch, One } from './api.ts';
import { appPath, wrote } from './apps.ts';
import { exits, UsageError } from './exit.ts';
import { open, revokeLinks, share } from './launch-access.ts';
import { deployments, extend, redeploy, rollback, sleep, wake } from './launch-change.ts';
import { launchCard, launchRows } from './launch-view.ts';
import { launchPath, watchLaunch } from './launch-watch.ts';
import { printLog } from './logs.ts';
import { launchUsage } from './usage.ts';
import { defineVerb, type Options, secondsOf, type Verb, wholeNumber } from './verb.ts';

const rowsMax = 1_000;
const portMax = 65_535;
const tailLinesMax = 10_000;

const watched = (help: string) =>
  ({ watch: { type: 'boolean', short: 'w', help } }) as const satisfies Options;

const list = defineVerb({
  summary: 'List launches, newest first',
  looksBack: true,
  words: '[<app>]',
  options: {
    status: {
      type: 'string',
      value: 'status',
      help: 'requested, starting, running, asleep, waking, restarting, stopping, stopped, expired or failed',
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
    access: {
      type: 'string',
      value: 'who',
      help: 'private (default), or public: everybody who has its address',
    },
    idle: {
      type: 'string',
      value: 'time',
      help: 'Sleep when unvisited for 10m, 2h or 7d, or never; default: as the server says',
    },
    restart: { type: 'string', value: 'when', help: 'on-failure (default) or no: when its container fails' },
    'health-path': {
      type: 'string',
      value: 'path',
      help: 'Answers 2xx or 3xx once it is well; default: its HEALTHCHECK, else any answer',
    },
    port: {
      type: 'string',
      value: 'number',
      help: 'The port the app listens on; default: the one it exposes',
    },
    workspace: { type: 'string', value: 'id', help: 'Keep in there what the app writes into its volumes' },
    overlap: {
      type: 'boolean',
      help: 'A redeploy keeps the old container until the new one is well; both write',
    },
    ...watched('Wait until it runs and print its address; fails when it does'),
    'idempotency-key': { type: 'string', value: 'key', help: 'The same key again changes nothing again' },
  },
  examples: [
    'apphub launches start shop --watch',
    'apphub launches start shop -e MODE=demo --profile small --ttl 30m',
    'apphub launches start shop --access public --idle 2h --health-path /healthz',
  ],
  about: 'Variables are plain configuration that everybody may read in the history: no place for a secret.',
  run: async ({ words: [app = ''], options, client, out, signal }) => {
    const { build, env, profile, ttl, port, access, idle, restart, 'health-path': healthPath } = options;
    const { workspace, overlap } = options;
    const body = {
      ...(build === undefined ? {} : { buildId: build }),
      ...(env === undefined ? {} : { env: env.map(variableOf) }),
      ...(profile === undefined ? {} : { resourceProfile: profile }),
      ...(ttl === undefined ? {} : { ttlSeconds: secondsOf('ttl', ttl) }),
      ...(port === undefined ? {} : { port: wholeNumber('port', port, 1, portMax) }),
      ...(access === undefined ? {} : { access: oneOf('access', access, ['private', 'public']) }),
      ...(idle === undefined ? {} : { idleSeconds: idle === 'never' ? null : secondsOf('idle', idle) }),
      ...(restart === undefined ? {} : { restart: oneOf('restart', restart, ['no', 'on-failure']) }),
      ...(healthPath === undefined ? {} : { healthPath }),
      ...(workspace === undefined ? {} : { workspaceId: workspace }),
      ...(overlap === undefined ? {} : { overlap }),
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
  looksBack: true,
  words: '<launch>',
  options: watched('Wait until it runs, sleeps, or is over'),
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
  show,
  open,
  share,
  'revoke-links': revokeLinks,
  logs,
  usage: launchUsage,
  deployments,
  redeploy,
  rollback,
  sleep,
  wake,
  extend,
  stop,
};

function variableOf(text: string): { key: string; value: string } {
  const at = text.indexOf('=');
  if (at < 1) throw new UsageError(`"${text}" is not a variable; write KEY=value`);
  return { key: text.slice(0, at), value: text.slice(at + 1) };
}

function oneOf(name: string, text: string, known: readonly string[]): string {
  if (known.includes(text)) return text;
  throw new UsageError(`--${name} is "${text}"; it must be ${known.join(' or ')}`);
}
