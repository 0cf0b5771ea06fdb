/** `apphub upgrade`: what would change if this version took over from the one that is running. */
import { openLog } from '../eventstore/esdb.ts';
import { upcast } from '../eventstore/upcast.ts';
import { ConfigError, readConfig } from '../platform/config.ts';
import { openLogger } from '../platform/log.ts';
import { openPostgres } from '../platform/postgres.ts';
import { CheckUnderWay, checkUpgrade, type Finding, type UpgradeReport } from '../projections/check.ts';
import { keepReport } from '../projections/gate.ts';
import { projections } from '../projections/index.ts';
import { exits, UsageError } from './exit.ts';
import { plain } from './format.ts';
import { knownTypes } from './known-types.ts';
import type { Output } from './output.ts';
import { reachParts } from './reach-parts.ts';
import { count } from './say.ts';
import { defineVerb, type Verb } from './verb.ts';

const tellMs = 5_000;
const connectionsMax = 4;

/** Whoever runs beside it gets the machine for a third of the time. */
const restShare = 0.5;

const check = defineVerb({
  summary: 'Fold the whole log with this version, and compare with the tables that are read',
  words: '',
  options: {
    data: {
      type: 'string',
      value: 'folder',
      help: 'Where AppHub keeps its data; default: APPHUB_DATA_DIR, or ./data',
    },
  },
  examples: ['apphub upgrade check', 'apphub upgrade check --data /var/lib/apphub --json'],
  about: `Run it with the new version, on the machine of the one that is running: that one goes on meanwhile. It reads the
log, and writes nothing but tables of its own, which go when it is over. Ends with 0 when all that differs is explained,
such as by a new version of a projection, and with 1 when not. A start of the same code refuses what was not explained.`,
  run: async ({ options, out, signal }) => {
    const config = configOf(options.data);
    const reached = await reachParts(config, openLogger({ level: 'error' }));
    const sql = openPostgres(reached.databaseUrl, { name: 'apphub upgrade check', connectionsMax });
    const log = openLog(reached.eventstoreUrl);
    try {
      const report = await checkUpgrade({
        sql,
        stored: log.stored,
        upcast,
        knownTypes,
        projections,
        signal,
        restShare: reached.isShared ? restShare : 0,
        onProgress: progressOf(out),
      });
      await keepReport(sql, report);
      if (out.json) out.document({ data: report });
      else say(out, report);
      return report.isFine ? exits.ok : exits.failed;
    } catch (error) {
      if (error instanceof CheckUnderWay) throw new UsageError(error.message);
      throw error;
    } finally {
      await log.close();
      await sql.destroy();
      await reached.close();
    }
  },
});

export const verbs: Readonly<Record<string, Verb>> = { check };

function configOf(data: string | undefined) {
  try {
    return readConfig({ ...process.env, ...(data === undefined ? {} : { APPHUB_DATA_DIR: data }) });
  } catch (error) {
    if (error instanceof ConfigError) throw new UsageError(error.message);
    throw error;
  }
}

function progressOf(out: Output): (position: bigint, events: number) => void {
  let told = performance.now();
  return (position, events) => {
    if (out.json || performance.now() - told < tellMs) return;
    told = performance.now();
    out.note(`${count(events, 'event')} folded, up to ${position}`);
  };
}

const words: Readonly<Record<Finding['result'], string>> = {
  equal: 'the same',
  new: 'new',
  gone: 'gone',
  version: 'new version',
  letters: 'dead letters',
  rows: 'OTHER ROWS',
  columns: 'OTHER COLUMNS',
  moved: 'moved',
};

function say(out: Output, report: UpgradeReport): void {
  const { events, seconds, eventsPerSecond, position, findings, unknownTypes, unliftable } = report;
  out.table(
    [
      { title: 'PROJECTION' },
      { title: 'RESULT' },
      { title: 'EXPLAINED' },
      { title: 'TIME', right: true },
      { title: 'WHAT', shrinks: true },
    ],
    findings.map(one => [
      one.projection,
      words[one.result],
      one.isExplained ? 'yes' : 'NO',
      `${(one.milliseconds / 1_000).toFixed(1)} s`,
      plain(one.sentence),
    ]),
  );
  for (const one of findings) details(out, one);
  for (const { type, count: times, first } of unknownTypes)
    out.line(`This version does not know ${plain(type)}: ${count(times, 'event')}, the first at ${first}.`);
  for (const { type, count: times, first, error } of unliftable)
    out.line(
      `${plain(type)} cannot be lifted: ${count(times, 'event')}, the first at ${first}: ${plain(error ?? '')}`,
    );
  out.line(
    `${count(events, 'event')} up to ${position} in ${seconds.toFixed(1)} s, ${eventsPerSecond} events/s: ${
      report.isFine ? 'this version may take over.' : 'NOT explained is what is marked above.'
    }`,
  );
}

function details(out: Output, { projection, isExplained, columns, rows, deadLetters }: Finding): void {
  if (columns.length > 0 && !isExplained) out.line(`${projection}: columns ${columns.join(', ')}`);
  for (const row of rows)
    out.line(
      `${projection}: ${row.table} ${plain(row.key)} differs in ${row.columns.join(', ') || 'being there'}`,
    );
  for (const { type, position, stream, error } of deadLetters)
    out.line(`${projection}: ${type} at ${position} of ${stream}: ${plain(error)}`);
}
