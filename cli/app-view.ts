/** Apps and their histories as people see them on a terminal. */
import type { App, HistoryEntry, Ingestion } from './api.ts';
import { duration, plain, relative, shortCommit } from './format.ts';
import { facts, type Output, status, took } from './output.ts';
import { sayEvent } from './say.ts';

export function appRows(out: Output, apps: readonly App[]): void {
  out.table(
    [
      { title: 'APP' },
      { title: 'STATUS' },
      { title: 'NAME', shrinks: true },
      { title: 'TAGS', shrinks: true },
      { title: 'BUILD' },
      { title: 'UPDATED' },
    ],
    apps.map(app => [
      app.id,
      app.status,
      app.name,
      app.tags.map(({ key, value }) => `${key}:${value}`).join(' '),
      app.build?.status ?? '-',
      relative(app.updatedAt),
    ]),
    (cell, column) =>
      column === 0 ? out.paint('bold', cell) : column === 1 || column === 4 ? status(out, cell) : cell,
  );
}

export function appCard(out: Output, app: App, ingestion: Ingestion | undefined): void {
  const because = app.statusMessage === null ? '' : `: ${plain(app.statusMessage)}`;
  out.line(`${out.paint('bold', plain(app.name))} (${app.id})  ${status(out, app.status)}${because}`);
  if (app.description !== null && app.description !== '') out.line(plain(app.description));
  out.line();
  const { build } = app;
  const running = app.launch?.running ?? 0;
  facts(out, [
    ['Source', `${plain(app.repoUrl)}${app.ref === null ? '' : ` at ${plain(app.ref)}`}`],
    [
      'Commit',
      app.commit === null
        ? null
        : `${shortCommit(app.commit)}${app.branch ? ` of ${plain(app.branch)}` : ''}`,
    ],
    ['Dockerfile', app.dockerfilePath === null ? null : plain(app.dockerfilePath)],
    ['Ports', app.ports?.join(', ')],
    ['Homepage', app.homepage === null ? null : plain(app.homepage)],
    ['Owner', app.owner === null ? null : plain(app.owner)],
    ['Tags', app.tags.map(({ key, value, source }) => plain(`${key}:${value} (${source})`)).join(', ')],
    ['Ingestion', ingestion === undefined ? null : ingestionLine(ingestion)],
    ['Build', build === null ? null : `${status(out, build.status)}${took(build.durationMs)}, ${build.id}`],
    ['Waiting', build?.waitingFor],
    ['Launches', running === 0 ? null : `${running} running`],
    ['Registered', relative(app.createdAt)],
    ['Updated', relative(app.updatedAt)],
  ]);
}

function ingestionLine({
  run,
  cause,
  attempt,
  attemptsMax,
  status,
  durations,
  finishedAt,
}: Ingestion): string {
  const times =
    durations === null
      ? ''
      : ` (${[
          `clone ${duration(durations.cloneMs)}`,
          `inspect ${duration(durations.inspectMs)}`,
          `store ${duration(durations.storeMs)}`,
        ].join(', ')})`;
  const attempts = attempt > 1 ? `, attempt ${attempt} of ${attemptsMax}` : '';
  return `${status} ${relative(finishedAt)}, run ${run} (${cause})${attempts}${times}`.replace(' -,', ',');
}

export function historyRows(out: Output, entries: readonly HistoryEntry[]): void {
  if (entries.length === 0) {
    out.note('Nothing has happened yet.');
    return;
  }
  out.table(
    [
      { title: 'POSITION', right: true },
      { title: 'WHEN' },
      { title: 'WHAT', shrinks: true },
      { title: 'EVENT' },
      { title: 'BY', shrinks: true },
    ],
    entries.map(entry => [entry.position, relative(entry.at), sayEvent(entry), entry.type, entry.actor]),
    (cell, column) => (column === 2 ? cell : out.paint('dim', cell)),
  );
}
