/** `apphub engines`: what builds and runs, what is promised there, and which of them is away. */
import { exits } from './exit.ts';
import { plain, relative, size } from './format.ts';
import type { Output } from './output.ts';
import { defineVerb, type Verb } from './verb.ts';

const rowsMax = 1_000;

/** As in `GET /engines`. */
type Engine = {
  name: string;
  kind: 'engine' | 'swarm';
  labels: Record<string, string>;
  builds: boolean;
  awayReason: string | null;
  awaySince: string | null;
  cpus: number | null;
  memoryBytes: number | null;
  launchesMax: number | null;
  promised: { cpus: number; memoryBytes: number; launches: number };
};

const list = defineVerb({
  summary: 'List the engines that build and run',
  words: '',
  options: {},
  examples: ['apphub engines list', 'apphub engines --json'],
  about: 'CPU, memory and launches are what is promised there, of what it has or may promise.',
  run: async ({ client, out }) => {
    const found = await client.list<Engine>('/engines', {}, rowsMax);
    if (out.json) out.document(found);
    else engineRows(out, found.data);
    return exits.ok;
  },
});

function engineRows(out: Output, engines: readonly Engine[]): void {
  if (engines.length === 0) {
    out.note('The workers have not reported any engine.');
    return;
  }
  const head = [
    { title: 'ENGINE' },
    { title: 'STATE' },
    { title: 'CPU' },
    { title: 'MEMORY' },
    { title: 'LAUNCHES' },
    { title: 'BUILDS' },
    { title: 'LABELS', shrinks: true },
  ];
  const rows = engines.map(({ name, kind, promised, cpus, memoryBytes, launchesMax, ...one }) => [
    kind === 'swarm' ? `${name} (swarm)` : name,
    one.awaySince === null ? 'there' : `went away ${relative(one.awaySince)}`,
    `${plainNumber(promised.cpus)} of ${cpus === null ? '?' : plainNumber(cpus)}`,
    `${size(promised.memoryBytes)} of ${memoryBytes === null ? '?' : size(memoryBytes)}`,
    launchesMax === null ? String(promised.launches) : `${promised.launches} of ${launchesMax}`,
    one.builds ? 'yes' : 'no',
    Object.entries(one.labels)
      .map(([key, value]) => `${key}=${value}`)
      .join(', '),
  ]);
  out.table(head, rows);
  for (const { name, awayReason } of engines)
    if (awayReason !== null) out.line(`${name}: ${plain(awayReason)}`);
}

const plainNumber = (value: number): string => String(Math.round(value * 100) / 100);

export const verbs: Readonly<Record<string, Verb>> = { list };
