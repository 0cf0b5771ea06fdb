/**
 * From asking for a build until its image is there, beside `docker build` of the same files on the command line: with every step
 * run anew, and with every step from the cache. Then how fast a step is gone whose build is cancelled, and what those feel who
 * ask the API or start a launch while a build takes all it can get.
 */
import { execFile } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { E2E } from '../support/e2e.ts';
import { startGitServer } from '../support/git-server.ts';
import { nodeImage } from '../support/images.ts';
import { commitTo, makeRepo } from '../support/sample-repos.ts';
import { type Hub, startStack } from '../support/stack.ts';
import { inMs, printGoal, printTable, quantile, timed, times } from './support/figures.ts';
import { type Bench, withBench } from './support/parts.ts';

const run = promisify(execFile);
const rounds = 5;
const goal = 1.1;
const cancelRounds = 5;
const cancelMsGoal = 2_000;
const asks = 200;
const launches = 5;
const lookEveryMs = 20;
const waitMsMax = 180_000;

export const bench = () => withBench(measure);

type Place = { readonly hub: Hub; readonly folder: string; readonly gitUrl: string };
type Build = { id: string; commit: string; status: string; requestedAt: string; finishedAt: string | null };
type Accepted = { data: { id: string; position: string } };

/** What an app of some size does: dependencies, sources, a compilation. Each step that runs works for a second or so. */
const work = 'node -e "let h = 0; for (let n = 0; n < 6e8; n++) h = (h * 31 + n) | 0; console.log(h)"';
const dockerfile = `FROM ${nodeImage}
WORKDIR /app
COPY package.json .
RUN ${work} && mkdir node_modules && head -c 20000000 /dev/zero > node_modules/all
COPY . .
RUN ${work} && head -c 5000000 /dev/zero > bundle.js
ENV NODE_ENV=production
EXPOSE 3000
CMD ["node", "server.js"]
`;
const sources = Object.fromEntries(
  Array.from({ length: 200 }, (_, at) => [`src/module-${at}.js`, `export const value = ${at};\n`.repeat(40)]),
);
const filesOf = (nonce: string) => ({
  ...sources,
  Dockerfile: dockerfile,
  'package.json': `{"version": "${nonce}"}\n`,
});

async function measure(bench: Bench): Promise<void> {
  const { hub } = await startStack(e2eOf(bench));
  const server = await startGitServer({ root: bench.folder });
  bench.onClose(() => server.close());
  const place = { hub, folder: bench.folder, gitUrl: server.url };
  await overhead(place);
  await cancelling(place);
  await starving(place);
}

async function overhead(place: Place): Promise<void> {
  const { hub, folder } = place;
  const first = await newApp(place, 'bench', filesOf('first'));
  await ended(hub, first);
  const samples = {
    rawCold: [] as number[],
    rawCached: [] as number[],
    cold: [] as number[],
    cached: [] as number[],
  };
  for (let round = 0; round < rounds; round += 1) {
    const byHand = path.join(folder, `by-hand-${round}`);
    writeFiles(byHand, filesOf(`by hand ${round} ${Date.now()}`));
    samples.rawCold.push(await timed(() => dockerBuild(byHand)));
    samples.rawCached.push(await timed(() => dockerBuild(byHand)));
    const commit = commitTo(
      path.join(folder, 'bench.git'),
      filesOf(`ours ${round} ${Date.now()}`),
      `${round}`,
    );
    samples.cold.push(await buildMs(hub, commit));
    samples.cached.push(await buildMs(hub, commit));
  }
  const [rawCold, rawCached, cold, cached] = [
    samples.rawCold,
    samples.rawCached,
    samples.cold,
    samples.cached,
  ].map(each => quantile(each, 0.5)) as [number, number, number, number];
  printTable([
    ['', 'docker build', 'AppHub', 'to docker build'],
    ['every step run', inMs(rawCold), inMs(cold), times(cold, rawCold)],
    ['every step from the cache', inMs(rawCached), inMs(cached), times(cached, rawCached)],
  ]);
  console.log(`  clone, labels and log add ${inMs(cold - rawCold)} and ${inMs(cached - rawCached)}`);
  printGoal(cold <= goal * rawCold, `a build takes at most ${goal} times docker build`);
}

/** By the classic builder, as AppHub asks it. */
const dockerBuild = (folder: string) =>
  run('docker', ['build', '--quiet', '--tag', 'apphub-bench:raw', folder], {
    env: { ...process.env, DOCKER_BUILDKIT: '0' },
  });

function writeFiles(folder: string, files: Readonly<Record<string, string>>): void {
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(folder, file)), { recursive: true });
    writeFileSync(path.join(folder, file), text);
  }
}

/** By the times in the log: from the request, through the queue and the clone, until the end is told. */
async function buildMs(hub: Hub, commit: string): Promise<number> {
  const { id } = (await hub.ask<Accepted>('POST', '/apps/bench/builds', { commit })).body.data;
  const { requestedAt, finishedAt } = await ended(hub, id);
  return Date.parse(finishedAt ?? '') - Date.parse(requestedAt);
}

async function ended(hub: Hub, id: string): Promise<Build> {
  const build = await until(async () => {
    const { body } = await hub.ask<{ data?: Build }>('GET', `/builds/${id}`);
    return body.data?.finishedAt == null ? undefined : body.data;
  });
  if (build.status !== 'succeeded') throw new Error(`a build of the benchmark ${build.status}`);
  return build;
}

/** An app of a repository of its own; the build of its commit has been asked for. */
async function newApp(
  { hub, folder, gitUrl }: Place,
  id: string,
  files: Record<string, string>,
): Promise<string> {
  const commit = commitTo(makeRepo(folder, id), files, 'First');
  await hub.ask('POST', '/apps', { id, name: id, repoUrl: `${gitUrl}/${id}.git` });
  return until(async () => {
    const { body } = await hub.ask<{ data?: Build[] }>('GET', `/apps/${id}/builds`);
    return body.data?.find(build => build.commit === commit)?.id;
  });
}

/** From the request to cancel until no process of the step is left. */
async function cancelling(place: Place): Promise<void> {
  for (const [builder, how] of [
    ['classic', 'RUN'],
    ['buildkit', 'RUN --mount=type=tmpfs,target=/x'],
  ] as const) {
    const samples: number[] = [];
    for (let round = 0; round < cancelRounds; round += 1) {
      const seconds = String(900_000 + round);
      const step = `${how} test ${Date.now()}; exec sleep ${seconds}`;
      const id = await newApp(place, `${builder}-${round}`, { Dockerfile: `FROM ${nodeImage}\n${step}\n` });
      await until(async () => isRunning('sleep', seconds) || undefined);
      const cancel = async () => {
        await place.hub.ask('POST', `/builds/${id}/cancel`);
        await until(async () => !isRunning('sleep', seconds) || undefined);
      };
      samples.push(await timed(cancel));
    }
    const [half, worst] = [quantile(samples, 0.5), Math.max(...samples)];
    console.log(
      `  cancelled in a step of the builder ${builder}: gone after ${inMs(half)}, at most ${inMs(worst)}`,
    );
    printGoal(worst <= cancelMsGoal, `within ${cancelMsGoal} ms`);
  }
}

/** Whether a process of this machine, in whichever container, runs this very command. */
function isRunning(...command: readonly string[]): boolean {
  const wanted = `${command.join('\0')}\0`;
  return readdirSync('/proc').some(pid => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, 'utf8') === wanted;
    } catch {
      return false;
    }
  });
}

/** As many busy processes as a build can start, beside what others ask for. */
async function starving(place: Place): Promise<void> {
  const { hub } = place;
  const site = [
    `FROM ${nodeImage}`,
    'USER 1000',
    'CMD ["node", "-e", "require(\'http\').createServer((_, r) => r.end()).listen(process.env.PORT)"]',
  ];
  await ended(hub, await newApp(place, 'site', { Dockerfile: `${site.join('\n')}\n` }));
  const calm = await felt(hub);
  for (const [builder, how] of [
    ['classic', 'RUN'],
    ['buildkit', 'RUN --mount=type=tmpfs,target=/x'],
  ] as const) {
    const greedy =
      'for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do (while :; do :; done) & done; exec sleep 987654';
    const step = `${how} test ${Date.now()}; ${greedy}`;
    const id = await newApp(place, `greedy-${builder}`, { Dockerfile: `FROM ${nodeImage}\n${step}\n` });
    await until(async () => isRunning('sleep', '987654') || undefined);
    const busy = await felt(hub);
    await hub.ask('POST', `/builds/${id}/cancel`);
    await until(async () => !isRunning('sleep', '987654') || undefined);
    printTable([
      [`while a step of ${builder} has 16 busy loops`, 'alone', 'beside it', 'to alone'],
      ['GET /apps, p50', inMs(calm.half), inMs(busy.half), times(busy.half, calm.half)],
      ['GET /apps, p99', inMs(calm.worst), inMs(busy.worst), times(busy.worst, calm.worst)],
      ['launch to first byte, p50', inMs(calm.launch), inMs(busy.launch), times(busy.launch, calm.launch)],
    ]);
  }
}

async function felt(hub: Hub): Promise<{ half: number; worst: number; launch: number }> {
  const samples: number[] = [];
  for (let at = 0; at < asks; at += 1) samples.push(await timed(() => hub.ask('GET', '/apps')));
  const firsts: number[] = [];
  for (let at = 0; at < launches; at += 1) firsts.push(await launchMs(hub));
  return { half: quantile(samples, 0.5), worst: quantile(samples, 0.99), launch: quantile(firsts, 0.5) };
}

async function launchMs(hub: Hub): Promise<number> {
  let id = '';
  const ms = await timed(async () => {
    const body = { access: 'public', ttlSeconds: 600 };
    const asked = (await hub.ask<Accepted>('POST', '/apps/site/launches', body)).body.data;
    id = asked.id;
    const { url } = await hub.get<{ url: string }>(`/launches/${id}?after=${asked.position}`);
    await until(() => answers(new URL(url)));
  });
  await hub.ask('POST', `/launches/${id}/stop`);
  await until(
    async () => (await hub.get<{ status: string }>(`/launches/${id}`)).status === 'stopped' || undefined,
  );
  return ms;
}

/** Names below `localhost` are this machine. */
function answers({ host, port }: URL): Promise<true | undefined> {
  return new Promise(resolve => {
    const request = get({ host: '127.0.0.1', port, path: '/', headers: { host }, agent: false }, answer => {
      answer.resume();
      resolve(answer.statusCode === 200 ? true : undefined);
    });
    request.on('error', () => resolve(undefined));
  });
}

async function until<T>(look: () => Promise<T | undefined>): Promise<T> {
  const deadline = performance.now() + waitMsMax;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (performance.now() > deadline) throw new Error('waited for too long');
    await pause(lookEveryMs);
  }
}

/** The end-to-end tests' stack, in a benchmark. */
function e2eOf(bench: Bench): E2E {
  return {
    signal: new AbortController().signal,
    hasFailed: () => false,
    registerCleanup: (_name, cleanup) => bench.onClose(cleanup),
    async eventually<T>(ask: () => Promise<T> | T) {
      const answered = async () => ({ answer: await ask() });
      return (await until(() => answered().catch(() => undefined))).answer;
    },
  };
}
