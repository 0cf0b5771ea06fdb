/** `apphub usage`: what one's launches have used, and may. `apphub launches usage`: what one of them uses just now. */
import type { One } from './api.ts';
import { exits } from './exit.ts';
import { plain, relative, size } from './format.ts';
import { launchPath } from './launch-watch.ts';
import { facts, type Output } from './output.ts';
import { defineVerb, type Verb } from './verb.ts';

const everyMs = 5_000;

type Sums = { cpuSeconds: number; memoryMbHours: number };

/** As in `GET /usage`. */
type Usage = Sums & {
  period: { from: string; until: string };
  quotas: {
    owner: string | null;
    resource: keyof Sums;
    used: number | null;
    max: number;
    freeAt: string | null;
  }[];
  apps: ({ appId: string } & Sums)[];
  owners: ({ owner: string } & Sums)[];
};

/** As in `GET /launches/:launchId/usage`. */
type LaunchUsage = Sums & {
  containers: {
    deployment: number;
    readAt: string;
    cpus: number | null;
    cpusMax: number;
    memoryBytes: number;
    memoryBytesMax: number;
    processes: number;
    processesMax: number;
  }[];
};

const show = defineVerb({
  summary: 'Show what launches have used in a period, and may',
  looksBack: true,
  words: '',
  options: {
    period: {
      type: 'string',
      value: 'month',
      help: 'A month or day in UTC, such as 2026-01 or 2026-01-31; default: that of the quotas',
    },
    all: { type: 'boolean', short: 'a', help: 'Of everybody; needs the scope admin' },
  },
  examples: ['apphub usage', 'apphub usage show --period 2026-01', 'apphub usage --all --json'],
  about:
    'CPU is time on cores; memory is megabytes times hours. What was used last is counted some minutes later.',
  run: async ({ options: { period, all }, client, out }) => {
    const query = { ...(period === undefined ? {} : { period }), ...(all ? { all: true } : {}) };
    const answer = await client.get<One<Usage>>('/usage', query);
    if (out.json) out.document(answer);
    else usageCard(out, answer.data);
    return exits.ok;
  },
});

function usageCard(out: Output, { period, quotas, apps, owners, ...sums }: Usage): void {
  out.line(`From ${period.from.slice(0, 10)} until ${period.until.slice(0, 10)}`);
  facts(out, [
    ['CPU', cpuWords(sums.cpuSeconds)],
    ['Memory', memoryWords(sums.memoryMbHours)],
    ...quotas.map(({ owner, resource, used, max, freeAt }): [string, string] => {
      const words = resource === 'cpuSeconds' ? cpuWords : memoryWords;
      const of = used === null ? `at most ${words(max)}` : `${words(used)} of ${words(max)}`;
      const over = freeAt === null ? '' : `; used up, free again ${relative(freeAt)} (${freeAt})`;
      return [owner === null ? 'Quota of all' : 'Quota', of + over];
    }),
  ]);
  if (owners.length > 0)
    rowsOf(
      out,
      'OWNER',
      owners.map(({ owner, ...of }) => ({ name: owner, ...of })),
    );
  if (apps.length > 0)
    rowsOf(
      out,
      'APP',
      apps.map(({ appId, ...of }) => ({ name: appId, ...of })),
    );
}

function rowsOf(out: Output, title: string, rows: readonly ({ name: string } & Sums)[]): void {
  out.line('');
  out.table(
    [
      { title, shrinks: true },
      { title: 'CPU', right: true },
      { title: 'MEMORY', right: true },
    ],
    rows.map(({ name, cpuSeconds, memoryMbHours }) => [
      plain(name),
      cpuWords(cpuSeconds),
      memoryWords(memoryMbHours),
    ]),
  );
}

const rounded = (value: number) => String(Math.round(value * 10) / 10);
const cpuWords = (seconds: number) => `${rounded(seconds)} CPU-s`;
const memoryWords = (hours: number) => `${rounded(hours)} MB-h`;

export const launchUsage = defineVerb({
  summary: 'Show what a launch uses just now',
  looksBack: true,
  words: '<launch>',
  options: { watch: { type: 'boolean', short: 'w', help: 'Again every 5 s, a line each, until Ctrl-C' } },
  examples: ['apphub launches usage 0199…', 'apphub launches usage -w 0199…'],
  run: async ({ words: [id = ''], options, client, out, signal }) => {
    const look = async () => (await client.get<One<LaunchUsage>>(launchPath(id, 'usage'))).data;
    if (options.watch !== true) {
      const data = await look();
      if (out.json) out.document({ data });
      else launchUsageCard(out, data);
      return exits.ok;
    }
    while (!signal.aborted) {
      const data = await look();
      if (out.json) out.line(JSON.stringify(data));
      else out.line(lineOf(data));
      await new Promise(resolve => {
        const timer = setTimeout(resolve, everyMs);
        signal.addEventListener('abort', () => [clearTimeout(timer), resolve(undefined)], { once: true });
      });
    }
    return exits.ok;
  },
});

type Container = LaunchUsage['containers'][number];

const cpuNow = ({ cpus, cpusMax }: Container) =>
  `${cpus === null ? '?' : Math.round(cpus * 100) / 100} of ${cpusMax} cores`;
const memoryNow = ({ memoryBytes, memoryBytesMax }: Container) =>
  `${size(memoryBytes)} of ${size(memoryBytesMax)}`;

function launchUsageCard(out: Output, { containers, ...sums }: LaunchUsage): void {
  for (const one of containers) {
    out.line(`Deployment ${one.deployment}, read ${relative(one.readAt)}`);
    facts(out, [
      ['CPU', cpuNow(one)],
      ['Memory', memoryNow(one)],
      ['Processes', `${one.processes} of ${one.processesMax}`],
    ]);
  }
  if (containers.length === 0) out.line('No container of it was read lately.');
  facts(out, [['Used so far', `${cpuWords(sums.cpuSeconds)}, ${memoryWords(sums.memoryMbHours)}`]]);
}

function lineOf({ containers }: LaunchUsage): string {
  if (containers.length === 0) return 'no container';
  return containers
    .map(one => `#${one.deployment}  ${cpuNow(one)}  ${memoryNow(one)}  ${one.processes} processes`)
    .join('    ');
}

export const verbs: Readonly<Record<string, Verb>> = { show };
