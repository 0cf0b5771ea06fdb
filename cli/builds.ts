/** `apphub builds`: images made of apps. */
import type { Build, Many, One } from './api.ts';
import { appPath, wrote } from './apps.ts';
import type { Client } from './client.ts';
import { exits, UsageError } from './exit.ts';
import { duration, ordinal, plain, relative, shortCommit, size } from './format.ts';
import { printLog } from './logs.ts';
import { facts, type Output, status, took } from './output.ts';
import { progressLine } from './say.ts';
import { defineVerb, type Options, type Verb, wholeNumber } from './verb.ts';
import { watch } from './watch.ts';

const rowsMax = 1_000;

const followed = {
  watch: { type: 'boolean', short: 'w', help: 'Follow the build; the exit code says how it ended' },
} as const satisfies Options;

const keyed = {
  'idempotency-key': { type: 'string', value: 'key', help: 'The same key again changes nothing again' },
} as const satisfies Options;

const list = defineVerb({
  summary: 'List builds, newest first',
  looksBack: true,
  words: '[<app>]',
  options: {
    status: {
      type: 'string',
      value: 'status',
      help: 'queued, running, succeeded, failed, cancelled or superseded',
    },
    limit: { type: 'string', short: 'n', default: '20', value: 'count', help: 'At most so many; default 20' },
  },
  examples: ['apphub builds list', 'apphub builds list shop --status failed'],
  run: async ({ words: [app], options, client, out }) => {
    const limit = wholeNumber('limit', options.limit ?? '20', 1, rowsMax);
    const where = app === undefined ? '/builds' : appPath(app, 'builds');
    const answer = await client.list<Build>(where, { status: options.status }, limit);
    if (out.json) out.document(answer);
    else buildRows(out, answer);
    return exits.ok;
  },
});

const start = defineVerb({
  summary: 'Build an app',
  words: '<app>',
  options: {
    commit: {
      type: 'string',
      value: 'sha',
      help: 'All 40 digits; default: the commit that was ingested last',
    },
    arg: {
      type: 'string',
      multiple: true,
      value: 'name=value',
      help: 'An argument, over those that the app declares; may be repeated',
    },
    ...followed,
    ...keyed,
  },
  examples: ['apphub builds start shop --watch', 'apphub builds start shop --arg NODE_ENV=test'],
  run: async ({ words: [app = ''], options, client, out, signal }) => {
    const { commit, arg } = options;
    const body = {
      ...(commit === undefined ? {} : { commit }),
      ...(arg === undefined ? {} : { args: argsOf(arg) }),
    };
    const written = await client.write('POST', appPath(app, 'builds'), body, options['idempotency-key']);
    const { id, position } = written.data;
    if (options.watch) return watchBuild(client, out, id, position, signal);
    return wrote(
      out,
      Promise.resolve(written),
      `Queued build ${id}. Follow it with: apphub builds logs -f ${id}`,
    );
  },
});

const show = defineVerb({
  summary: 'Show one build',
  looksBack: true,
  words: '<build>',
  options: followed,
  examples: ['apphub builds show 0199…'],
  run: async ({ words: [id = ''], options, client, out, signal }) => {
    if (options.watch) return watchBuild(client, out, id, undefined, signal);
    const answer = await client.get<One<Build>>(buildPath(id));
    if (out.json) out.document(answer);
    else buildCard(out, answer.data);
    return exits.ok;
  },
});

const logs = defineVerb({
  summary: 'Print what a build wrote',
  words: '<build>',
  options: {
    follow: { type: 'boolean', short: 'f', help: 'Go on until the build ends' },
    offset: { type: 'string', default: '0', value: 'bytes', help: 'Begin so many bytes into the log' },
  },
  examples: ['apphub builds logs -f 0199…', 'apphub builds logs 0199… > build.log'],
  run: async ({ words: [id = ''], options, client, out, signal }) => {
    const offset = wholeNumber('offset', options.offset ?? '0', 0, Number.MAX_SAFE_INTEGER);
    // Without `download` an answer has at most 1 MiB of it.
    const query = options.follow ? { follow: true } : { download: true };
    await printLog(client, out, { path: buildPath(id, 'logs'), query, offset }, signal);
    return exits.ok;
  },
});

const cancel = defineVerb({
  summary: 'Cancel a build that is queued or running',
  words: '<build>',
  options: {},
  examples: ['apphub builds cancel 0199…'],
  run: ({ words: [id = ''], client, out }) =>
    wrote(out, client.write('POST', buildPath(id, 'cancel')), `Cancelled build ${id}.`),
});

const retry = defineVerb({
  summary: 'Build the same commit once more',
  words: '<build>',
  options: { ...followed, ...keyed },
  examples: ['apphub builds retry 0199… --watch'],
  run: async ({ words: [before = ''], options, client, out, signal }) => {
    const written = await client.write(
      'POST',
      buildPath(before, 'retry'),
      undefined,
      options['idempotency-key'],
    );
    const { id, position } = written.data;
    if (options.watch) return watchBuild(client, out, id, position, signal);
    return wrote(out, Promise.resolve(written), `Queued build ${id}.`);
  },
});

const provenance = defineVerb({
  summary: 'Print what an image was made of, as an in-toto statement with SLSA provenance',
  looksBack: true,
  words: '<build>',
  options: {},
  examples: ['apphub builds provenance 0199… | jq .predicate.buildDefinition.resolvedDependencies'],
  run: async ({ words: [id = ''], client, out }) => {
    out.document(await client.get<object>(buildPath(id, 'provenance')));
    return exits.ok;
  },
});

const args = defineVerb({
  summary: 'Show the arguments of an app’s builds, or set all of them',
  looksBack: true,
  words: '<app> [<name=value>]...',
  options: { clear: { type: 'boolean', help: 'From now on there are none' }, ...keyed },
  examples: ['apphub builds args shop', 'apphub builds args shop NODE_ENV=production TZ=UTC'],
  about: 'Arguments are no secrets: they are in the history of app and image. See apphub secrets --help.',
  run: async ({ words: [app = '', ...given], options, client, out }) => {
    if (options.clear && given.length > 0) throw new UsageError('--clear goes with no arguments');
    const place = appPath(app, 'build-args');
    if (!options.clear && given.length === 0) {
      const answer = await client.get<One<{ args: Record<string, string> }>>(place);
      if (out.json) out.document(answer);
      else for (const [name, value] of Object.entries(answer.data.args)) out.line(plain(`${name}=${value}`));
      return exits.ok;
    }
    const written = client.write('PUT', place, { args: argsOf(given) }, options['idempotency-key']);
    return wrote(out, written, `Builds of ${app} have these arguments from now on.`);
  },
});

export const verbs: Readonly<Record<string, Verb>> = {
  list,
  start,
  show,
  logs,
  cancel,
  retry,
  provenance,
  args,
};

/** `name=value`, as often as given; the value may hold more signs of equality. */
function argsOf(given: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    given.map(text => {
      const at = text.indexOf('=');
      if (at < 1) throw new UsageError(`"${text}" is no argument; write name=value`);
      return [text.slice(0, at), text.slice(at + 1)];
    }),
  );
}

function buildPath(...parts: readonly string[]): string {
  return `/builds/${parts.map(encodeURIComponent).join('/')}`;
}

function buildRows(out: Output, { data }: Many<Build>): void {
  if (data.length === 0) {
    out.note('There are no builds like that yet.');
    return;
  }
  out.table(
    [
      { title: 'BUILD' },
      { title: 'APP', shrinks: true },
      { title: 'STATUS' },
      { title: 'COMMIT' },
      { title: 'TOOK', right: true },
      { title: 'SIZE', right: true },
      { title: 'REQUESTED' },
    ],
    data.map(build => [
      build.id,
      build.appId,
      build.queuePosition === null ? build.status : `${build.status} ${ordinal(build.queuePosition)}`,
      shortCommit(build.commit),
      duration(build.durationMs),
      size(build.bytes),
      relative(build.requestedAt),
    ]),
    (cell, column) => (column === 2 ? status(out, cell) : cell),
  );
  const next = data.filter(({ queuePosition }) => queuePosition !== null);
  const waiting = next.toSorted((a, b) => (a.queuePosition ?? 0) - (b.queuePosition ?? 0))[0]?.waitingFor;
  if (waiting != null) out.note(`Queued builds wait: ${waiting}`);
}

function buildCard(out: Output, build: Build): void {
  const ended = `${status(out, build.status)}${took(build.durationMs)}`;
  out.line(`Build ${out.paint('bold', build.id)} of ${build.appId}  ${ended}`);
  const { failure, log } = build;
  const step =
    failure?.step == null
      ? null
      : `${failure.step}${failure.instruction ? ` ${plain(failure.instruction)}` : ''}`;
  facts(out, [
    ['Commit', shortCommit(build.commit)],
    ['Cause', build.cause],
    ['Attempt', build.attempt > 1 ? String(build.attempt) : null],
    ['Queue', build.queuePosition === null ? null : `${ordinal(build.queuePosition)} in the queue`],
    ['Waiting', build.waitingFor],
    [
      'Instead',
      build.supersededBy &&
        `build ${build.supersededBy.buildId} of the newer commit ${shortCommit(build.supersededBy.commit)}`,
    ],
    [
      'Arguments',
      Object.entries(build.args)
        .map(([name, value]) => plain(`${name}=${value}`))
        .join(', ') || null,
    ],
    ['Builder', build.builder],
    ['Image', build.image],
    ['Digest', build.imageId],
    ['Registry', build.pushed && `${build.pushed.repository}@${build.pushed.digest}`],
    ['Size', size(build.bytes)],
    ['Failure', failure === null ? null : plain(failure.reason)],
    ['At step', step],
    [
      'Log',
      log === null ? null : `${log.lines} lines, ${size(log.bytes)}${log.truncated ? ', cut off' : ''}`,
    ],
    ['Requested', relative(build.requestedAt)],
    ['Finished', relative(build.finishedAt)],
  ]);
}

async function watchBuild(
  client: Client,
  out: Output,
  id: string,
  from: string | null | undefined,
  signal: AbortSignal,
): Promise<number> {
  const over: Readonly<Record<string, number>> = {
    succeeded: exits.ok,
    failed: exits.failed,
    cancelled: exits.failed,
    superseded: exits.failed,
    BuildSucceeded: exits.ok,
    BuildFailed: exits.failed,
    BuildCancelled: exits.failed,
    BuildSuperseded: exits.failed,
  };
  const read = async (after: string | null | undefined) =>
    (await client.get<One<Build>>(buildPath(id), { after })).data;
  const isOver = async () => {
    const { status, waitingFor, queuePosition } = await read(from);
    if (queuePosition !== null)
      out.note(`Waiting, ${ordinal(queuePosition)} in the queue: ${waitingFor ?? 'it begins'}`);
    return over[status];
  };
  const { code, position } = await watch(
    client,
    out,
    {
      stream: `apps.build-${id}`,
      from,
      say: event => progressLine(out, event),
      ends: event => over[event.type],
      isOver,
    },
    signal,
  );
  const data = await read(position);
  if (out.json) out.record({ kind: 'result', data });
  else buildCard(out, data);
  return code;
}
