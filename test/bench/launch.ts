/**
 * From asking for a launch to the first byte of its app through the preview proxy, beside a hardened `docker run` of the same
 * image by hand, on a network of its own as each launch has one; the same for waking one that sleeps; and fifty launches asked
 * for at once.
 */
import { execFile } from 'node:child_process';
import { get } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { E2E } from '../support/e2e.ts';
import { type Hub, startStack } from '../support/stack.ts';
import { inMs, printGoal, printTable, quantile, timed, times } from './support/figures.ts';
import { type Bench, withBench } from './support/parts.ts';

const run = promisify(execFile);
const rounds = 20;
const warmUpRounds = 3;
const atOnce = 50;
const goal = 1.3;
const wakeMsGoal = 1_500;
const lookEveryMs = 5;
const waitMsMax = 120_000;

export const bench = () => withBench(measure);

type App = { build?: { status: string; imageId: string } };
type Launch = { id: string; status: string; url: string; deployment: number };
type Accepted = { data: { id: string; position: string } };

async function measure(bench: Bench): Promise<void> {
  const { hub, gitUrl } = await startStack(e2eOf(bench), {
    APPHUB_LAUNCHES_MAX: '200',
    APPHUB_LAUNCHES_PER_APP_MAX: '200',
    APPHUB_LAUNCHES_PER_OWNER_MAX: '200',
    APPHUB_LAUNCH_DRAIN_SECONDS: '0',
  });
  const app = { id: 'static-site', name: 'Static', repoUrl: `${gitUrl}/static-site.git` };
  const after = (await hub.ask<Accepted>('POST', '/apps', app)).body.data.position;
  const imageId = await until(async () => {
    const { build } = await hub.get<App>(`/apps/static-site?after=${after}`);
    return build?.status === 'succeeded' ? build.imageId : undefined;
  });

  const raw: number[] = [];
  const launched: number[] = [];
  const woken: number[] = [];
  for (let round = -warmUpRounds; round < rounds; round += 1) {
    const byHand = await timedRun(imageId, round + warmUpRounds);
    const { firstMs, wakeMs } = await timedLaunch(hub);
    if (round < 0) continue;
    raw.push(byHand);
    launched.push(firstMs);
    woken.push(wakeMs);
  }
  const [base, first, wake] = [raw, launched, woken].map(samples => quantile(samples, 0.5)) as [
    number,
    number,
    number,
  ];
  printTable([
    ['', 'p50', 'p90', 'p50 to docker run'],
    ['docker run, hardened, network of its own', inMs(base), inMs(quantile(raw, 0.9)), times(base, base)],
    ['launch to first byte', inMs(first), inMs(quantile(launched, 0.9)), times(first, base)],
    ['visit of one that sleeps', inMs(wake), inMs(quantile(woken, 0.9)), times(wake, base)],
  ]);
  printGoal(first <= goal * base, `launch to first byte at most ${goal} times docker run`);
  printGoal(quantile(woken, 0.9) < wakeMsGoal, `woken by a visit in less than ${wakeMsGoal} ms (p90)`);
  await fiftyAtOnce(hub, imageId);
}

/** As the platform would confine it, said by hand. */
async function timedRun(imageId: string, round: number): Promise<number> {
  const name = `apphub-bench-${process.pid}-${round}`;
  const subnet = `10.214.${round % 250}.0/29`;
  const confined = '--read-only --tmpfs /tmp:size=64m --cap-drop ALL --security-opt no-new-privileges --init';
  const limited = '--memory 256m --memory-swap 256m --cpus 0.5 --pids-limit 128 --user 65534:65534';
  try {
    return await timed(async () => {
      await run('docker', ['network', 'create', '--internal', '--subnet', subnet, name]);
      const flags = `${confined} ${limited} --env PORT=8080 --network ${name} --name ${name}`.split(' ');
      await run('docker', ['run', '-d', ...flags, imageId]);
      const { stdout } = await run('docker', [
        'inspect',
        '-f',
        '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}',
        name,
      ]);
      await firstByte(new URL(`http://${stdout.trim()}:8080/`));
    });
  } finally {
    await run('docker', ['rm', '-f', '-v', name]).catch(() => undefined);
    await run('docker', ['network', 'rm', name]).catch(() => undefined);
  }
}

/** Its address is known as soon as the tables know the launch. */
async function ask(hub: Hub): Promise<{ id: string; url: URL }> {
  const body = { access: 'public', ttlSeconds: 600 };
  const { id, position } = (await hub.ask<Accepted>('POST', '/apps/static-site/launches', body)).body.data;
  const { url } = await hub.get<Launch>(`/launches/${id}?after=${position}`);
  return { id, url: new URL(url) };
}

async function timedLaunch(hub: Hub): Promise<{ firstMs: number; wakeMs: number }> {
  let id = '';
  let url = new URL(hub.url);
  const firstMs = await timed(async () => {
    ({ id, url } = await ask(hub));
    await firstByte(url);
  });
  await hub.ask('POST', `/launches/${id}/sleep`);
  await until(async () => (await hub.get<Launch>(`/launches/${id}`)).status === 'asleep' || undefined);
  const wakeMs = await timed(() => firstByte(url));
  await hub.ask('POST', `/launches/${id}/stop`);
  await until(async () => (await hub.get<Launch>(`/launches/${id}`)).status === 'stopped' || undefined);
  return { firstMs, wakeMs };
}

async function fiftyAtOnce(hub: Hub, imageId: string): Promise<void> {
  const byHand = await timed(() =>
    Promise.all(Array.from({ length: atOnce }, (_, at) => timedRun(imageId, 100 + at))),
  );
  const firsts: number[] = [];
  const all = await timed(async () => {
    const from = performance.now();
    await Promise.all(
      Array.from({ length: atOnce }, async () => {
        await firstByte((await ask(hub)).url);
        firsts.push(performance.now() - from);
      }),
    );
  });
  console.log(
    `  ${atOnce} at once: the last answers after ${inMs(all)}, half of them after ${inMs(quantile(firsts, 0.5))};`,
  );
  console.log(`  docker run of as many, with their removal, ${inMs(byHand)}: ${times(all, byHand)}`);
}

/** Asks until it is answered with 200. Names below `localhost` are this machine. */
function firstByte(url: URL): Promise<true> {
  return until(
    () =>
      new Promise<true | undefined>(resolve => {
        const host = url.hostname.endsWith('.localhost') ? '127.0.0.1' : url.hostname;
        const request = get(
          { host, port: url.port, path: '/', headers: { host: url.host }, agent: false },
          answer => {
            answer.resume();
            resolve(answer.statusCode === 200 ? true : undefined);
          },
        );
        request.on('error', () => resolve(undefined));
      }),
  );
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
