/**
 * What happens to apps in a hub that is in use: each is registered, ingested, built and released within minutes, and then for
 * months launched, tagged, changed and ingested again. Events of different apps are mixed as their times are.
 */
import type { Inspection } from '../../../domain/apps/ingestion.ts';
import type { SourcedTag, Tag } from '../../../domain/apps/tag.ts';
import type { PlatformEvent } from '../../../domain/events.ts';
import { type Chance, openChance, words, zipf } from './chance.ts';

export type Happened = { readonly ms: number; readonly stream: string; readonly event: PlatformEvent };

const startMs = Date.UTC(2026, 0, 1);
const dayMs = 86_400_000;
const vocabulary = words(60_000);
const languages = ['node', 'python', 'go', 'rust', 'java', 'php', 'ruby', 'static'];
const frameworks = ['express', 'fastify', 'django', 'flask', 'spring', 'rails', 'next', 'vue', 'svelte'];
const hex = (chance: Chance, length: number) =>
  Array.from({ length }, () => '0123456789abcdef'[chance.below(16)]).join('');

export type AppText = {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly owner: string;
  readonly own: readonly Tag[];
  readonly found: readonly SourcedTag[];
};

/** Names, texts and tags of apps, one after another; the same for the same seed. */
export function appTexts(seed: number): () => AppText {
  const chance = openChance(seed);
  const rank = zipf(chance, vocabulary.length);
  const ownerRank = zipf(chance, 20_000);
  const topicRank = zipf(chance, 5_000);
  const word = () => vocabulary[rank()] ?? '';
  const text = (count: number) => Array.from({ length: count }, word).join(' ');
  let made = 0;
  return () => {
    made += 1;
    const name = text(1 + chance.below(3));
    const topics = Array.from({ length: chance.below(3) }, () => vocabulary[topicRank()] ?? '');
    return {
      id: `${name.replaceAll(' ', '-').slice(0, 40)}-${made.toString(36)}`,
      name: `${name[0]?.toUpperCase()}${name.slice(1)}`,
      description: text(6 + chance.below(12)),
      owner: `owner-${ownerRank()}`,
      own: [...new Set(topics)].map(value => ({ key: 'topic', value })),
      found: [
        { key: 'language', value: chance.of(languages), source: 'auto:language' },
        { key: 'framework', value: chance.of(frameworks), source: 'auto:package' },
        { key: 'port', value: String(3_000 + chance.below(40)), source: 'auto:dockerfile' },
        { key: 'base', value: `${chance.of(languages)}:${8 + chance.below(16)}`, source: 'auto:dockerfile' },
      ],
    };
  };
}

/** The events of so many apps, in order of time. About 21 an app. */
export function lives(appCount: number, seed = 1): readonly Happened[] {
  const nextText = appTexts(seed);
  const chance = openChance(seed + 1);
  // A few hundred apps arrive an hour, so the births of neighbours are mixed and later events are spread over all.
  const happened: Happened[] = [];
  for (let n = 0; n < appCount; n += 1) live(chance, nextText(), startMs + n * 10_000, happened);
  return happened.sort((a, b) => a.ms - b.ms);
}

function live(chance: Chance, app: AppText, bornMs: number, happened: Happened[]): void {
  let ms = bornMs;
  const put = (stream: string, type: string, data: object) => {
    const event = { type, data: { ...data, at: new Date(ms).toISOString() } } as PlatformEvent;
    happened.push({ ms, stream, event });
  };
  const pass = (seconds: number) => {
    ms += Math.round(chance.next() * seconds * 2_000);
  };
  const appId = app.id;
  const repository = `apps.repository-${appId}`;
  put(repository, 'RepositoryRegistered', {
    appId,
    ...described(app),
    tags: app.own,
  });
  let build = ingestAndBuild(chance, app, 1, put, pass);
  for (let launch = chance.below(5); launch > 0; launch -= 1) {
    pass(20 * (dayMs / 1_000));
    launchAndStop(chance, app, build, put, pass);
  }
  for (let tag = chance.below(3); tag > 0; tag -= 1) {
    pass(5 * (dayMs / 1_000));
    put(repository, 'RepositoryTagged', {
      appId,
      tag: { key: 'use', value: vocabulary[chance.below(400)] ?? '' },
    });
  }
  if (chance.is(0.2)) {
    put(repository, 'RepositoryChanged', { appId, changes: { name: `${app.name} two` } });
  }
  if (chance.is(0.3)) {
    pass(30 * (dayMs / 1_000));
    build = ingestAndBuild(chance, app, 2, put, pass);
    launchAndStop(chance, app, build, put, pass);
  }
  if (chance.is(0.03)) put(repository, 'RepositoryArchived', { appId });
}

const described = (app: AppText) => ({
  name: app.name,
  description: app.description,
  repoUrl: `https://git.example.org/${app.owner}/${app.id}.git`,
  ref: null,
  dockerfilePath: null,
  homepage: null,
  owner: app.owner,
});

type Put = (stream: string, type: string, data: object) => void;
type Built = { buildId: string; commit: string; image: string; imageId: string; ports: number[] };

function ingestAndBuild(
  chance: Chance,
  app: AppText,
  run: number,
  put: Put,
  pass: (seconds: number) => void,
): Built {
  const appId = app.id;
  const commit = hex(chance, 40);
  const ingestion = `apps.ingestion-${appId}`;
  put(ingestion, 'IngestionQueued', { appId, run, cause: run === 1 ? 'registered' : 'sync' });
  pass(1);
  put(ingestion, 'IngestionStarted', { appId, run, attempt: 1 });
  let attempt = 1;
  if (chance.is(0.05)) {
    pass(20);
    const retryAt = new Date(startMs).toISOString();
    const failed = {
      reason: 'The host is away',
      commit: null,
      durations: { cloneMs: 20_000, inspectMs: 0, storeMs: 0 },
    };
    put(ingestion, 'IngestionAttemptFailed', { appId, run, attempt, ...failed, retryAt });
    attempt += 1;
    put(ingestion, 'IngestionStarted', { appId, run, attempt });
  }
  pass(8);
  const durations = { cloneMs: chance.below(5_000), inspectMs: chance.below(200), storeMs: chance.below(50) };
  put(ingestion, 'IngestionSucceeded', {
    appId,
    run,
    attempt,
    commit,
    branch: 'main',
    inspection: inspected(chance, app),
    durations,
  });
  const buildId = `0192${hex(chance, 28)}`;
  const stream = `apps.build-${buildId}`;
  const spec = { appId, repoUrl: described(app).repoUrl, ref: null, commit, dockerfilePath: 'Dockerfile' };
  put(stream, 'BuildRequested', { buildId, cause: 'ingested', ...spec });
  pass(3);
  put(stream, 'BuildStarted', { buildId, appId, attempt: 1 });
  pass(60);
  const ended = { buildId, appId, attempt: 1, durationMs: chance.below(90_000) };
  const log = { lines: chance.below(400), bytes: chance.below(40_000), truncated: false };
  const built = {
    image: `apphub/${appId}:${commit.slice(0, 12)}`,
    imageId: `sha256:${hex(chance, 64)}`,
    ports: [3_000],
  };
  if (chance.is(0.1)) {
    const failure = { reason: 'The command answered 1', step: 4, instruction: 'RUN npm ci --omit=dev' };
    put(stream, 'BuildFailed', { ...ended, log, ...failure });
  } else {
    put(stream, 'BuildSucceeded', { ...ended, log, ...built, bytes: chance.below(900_000_000) });
    const release = { buildId, commit, ...built, requestedAt: new Date(startMs).toISOString() };
    put(`apps.repository-${appId}`, 'RepositoryReleased', { appId, release });
  }
  return { buildId, commit, ...built };
}

export function inspected(chance: Chance, app: AppText): Inspection {
  return {
    dockerfilePath: 'Dockerfile',
    title: app.name,
    description: app.description,
    homepage: null,
    tags: [...app.found],
    previews: [
      {
        kind: 'image',
        title: 'screenshot',
        url: null,
        sha256: hex(chance, 64),
        mediaType: 'image/png',
        bytes: chance.below(300_000),
      },
    ],
    ports: [3_000],
    healthcheck: chance.is(0.5),
  };
}

function launchAndStop(
  chance: Chance,
  app: AppText,
  build: Built,
  put: Put,
  pass: (seconds: number) => void,
): void {
  const appId = app.id;
  const launchId = `0193${hex(chance, 28)}`;
  const stream = `apps.launch-${launchId}`;
  const of = { launchId, appId };
  put(stream, 'LaunchRequested', {
    ...of,
    buildId: build.buildId,
    image: build.image,
    imageId: build.imageId,
    env: [{ key: 'NODE_ENV', value: 'production' }],
    resourceProfile: 'small',
    port: null,
    expiresAt: new Date(startMs + dayMs).toISOString(),
  });
  pass(1);
  const hostPort = 32_768 + chance.below(20_000);
  put(stream, 'LaunchStarting', { ...of, containerId: hex(chance, 64), hostPort, port: 3_000 });
  pass(2);
  if (chance.is(0.1)) {
    const lastLines = ['Error: there is no database', '    at main.js:3'];
    put(stream, 'LaunchFailed', { ...of, reason: 'It ended at once', exitCode: 1, lastLines });
    return;
  }
  put(stream, 'LaunchRunning', { ...of, startedInMs: chance.below(3_000) });
  pass(1_800);
  const isOver = chance.is(0.4);
  put(stream, 'LaunchStopping', { ...of, reason: isOver ? 'expired' : 'stopped' });
  pass(1);
  put(stream, isOver ? 'LaunchExpired' : 'LaunchStopped', of);
}
