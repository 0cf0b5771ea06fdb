/** How the log is followed: from a checkpoint, killed at any moment, past what always fails, to jobs nobody wants any more. */
import assert from 'node:assert/strict';
import { after, before, suite, type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { systemClock } from '../../commands/clock.ts';
import { deriveId } from '../../commands/derive-id.ts';
import { execute } from '../../commands/execute.ts';
import { build } from '../../domain/apps/build.ts';
import { ingestion } from '../../domain/apps/ingestion.ts';
import { repository } from '../../domain/apps/repository.ts';
import { everyContext, type Recorded } from '../../domain/events.ts';
import { memoryStore } from '../../eventstore/memory.ts';
import { type EventStore, LogUnavailable } from '../../eventstore/store.ts';
import { readBuilds } from '../../platform/build-config.ts';
import { buildReaction, releaseBuild, requestBuild } from '../../workers/apps/build.ts';
import { ingestionReaction, queueIngestion } from '../../workers/apps/ingestion.ts';
import { Cancelled, type Effect } from '../../workers/effect.ts';
import { inlineQueue } from '../../workers/inline-queue.ts';
import { type JobQueue, QueueUnavailable } from '../../workers/queue.ts';
import { type ReactDeps, react } from '../../workers/react.ts';
import { cancel, type Reaction, run } from '../../workers/reaction.ts';
import { createWorkerTables } from '../../workers/tables.ts';
import { commit, finishBuild, finishIngestion, startBuild, startIngestion } from '../support/play.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';
import { eventually, noDocker } from '../support/workers.ts';

const at = () => new Date().toISOString();
const quiet = { warn: () => undefined, error: () => undefined };

async function openTables(): Promise<TestDatabase> {
  const database = await testDatabase();
  await createWorkerTables(database.sql);
  return database;
}

const checkpointOf = async ({ sql }: TestDatabase) =>
  BigInt((await sql('reaction_checkpoints').first('position'))?.position ?? 0);

async function eventsOf(store: EventStore): Promise<readonly Recorded[]> {
  const stop = new AbortController();
  const events: Recorded[] = [];
  const from = { from: 'start', streamPrefixes: everyContext, signal: stop.signal } as const;
  for await (const batch of store.subscribe(from)) {
    events.push(...batch.events);
    if (batch.caughtUp) break;
  }
  stop.abort();
  return events;
}

/** Says a command of somebody outside, or one that this event has led to. */
function say(store: EventStore, decider: unknown, id: string, command: object, cause: string = deriveId(id)) {
  const metadata = { actor: 'operator:tester', correlationId: cause, causationId: cause, time: at() };
  return execute(store, decider as Parameters<typeof execute>[1], id, command as never, metadata);
}

function register(store: EventStore, appId: string) {
  const empty = { description: null, ref: null, dockerfilePath: null, homepage: null, owner: null, tags: [] };
  const data = { appId, at: at(), name: appId, repoUrl: 'https://git.example/app.git', ...empty };
  return say(store, repository, appId, { type: 'RegisterRepository', data });
}

const archive = (store: EventStore, appId: string) =>
  say(store, repository, appId, { type: 'ArchiveRepository', data: { appId, at: at() } });

const lastOf = async (store: EventStore, stream: string) =>
  (await store.load(`apps.${stream}`)).events.at(-1)?.id ?? assert.fail(`${stream} is empty`);

/** Runs the reactions as a process does, until it is stopped. */
function start(deps: Omit<ReactDeps, 'signal' | 'log'> & Partial<ReactDeps>, stop = new AbortController()) {
  const running = react({ log: quiet, ...deps, signal: stop.signal });
  return {
    running,
    async stop() {
      stop.abort();
      await running;
    },
  };
}

/** An effect that collects what it is run for. */
function collecting(name: string, atOnce: Effect['atOnce']): { effect: Effect; got: string[] } {
  const got: string[] = [];
  return { got, effect: { name, atOnce, run: async data => void got.push(String(data.appId)) } };
}

suite('a process that follows the log', { concurrency: true }, () => {
  const apps: Reaction = {
    on: {
      RepositoryRegistered: ({ data: { appId } }) => [run('work', appId, { appId })],
      RepositoryArchived: ({ data: { appId } }) => [cancel('work', appId)],
    },
  };

  /** Jobs that run until they are cancelled. */
  function openHolding() {
    const running = new Map<string, AbortSignal>();
    const work: Effect = {
      name: 'work',
      atOnce: 10,
      run: ({ appId }, signal) =>
        new Promise((_resolve, reject) => {
          running.set(String(appId), signal);
          signal.addEventListener('abort', () => reject(signal.reason));
        }),
    };
    return { running, work, queue: inlineQueue([work], quiet) };
  }

  test('begins where the last one has stopped, and not before', async () => {
    const tables = await openTables();
    const store = memoryStore();
    const first = collecting('work', 'inOrder');
    const deps = { store, sql: tables.sql, queue: inlineQueue([], quiet), reactions: [apps] };
    await register(store, 'one');
    await register(store, 'two');
    const before = start({ ...deps, effects: [first.effect] });
    await eventually(async () => assert.equal(await checkpointOf(tables), 2n));
    await before.stop();
    await register(store, 'three');
    const second = collecting('work', 'inOrder');
    const next = start({ ...deps, effects: [second.effect] });
    await eventually(async () => assert.equal(await checkpointOf(tables), 3n));
    await next.stop();
    assert.deepEqual([first.got, second.got], [['one', 'two'], ['three']]);
    await tables.drop();
  });

  test('ends the job that the log says nobody wants any more, and only that', async () => {
    const tables = await openTables();
    const store = memoryStore();
    const { running, work, queue } = openHolding();
    const process = start({ store, sql: tables.sql, queue, effects: [work], reactions: [apps] });
    await register(store, 'one');
    await register(store, 'other');
    await eventually(() => assert.equal(running.size, 2));
    await archive(store, 'one');
    await eventually(() => assert.ok(running.get('one')?.reason instanceof Cancelled));
    assert.equal(running.get('other')?.aborted, false);
    await process.stop();
    await queue.close();
    await tables.drop();
  });

  test('keeps its own place: what another one has read already still ends its own job', async () => {
    const tables = await openTables();
    const store = memoryStore();
    const { running, work, queue } = openHolding();
    const idle = inlineQueue([work], quiet);
    let isAway = false;
    const subscribe: EventStore['subscribe'] = options => {
      const inner = store.subscribe(options);
      return (async function* () {
        for await (const batch of inner) {
          // The connection breaks while this one is to learn of the archiving.
          if (isAway) throw new LogUnavailable('The log is away');
          yield batch;
        }
      })();
    };
    const deps = { sql: tables.sql, effects: [work], reactions: [apps] };
    const slow = start({ ...deps, store: { ...store, subscribe }, queue });
    await register(store, 'one');
    await eventually(() => assert.equal(running.size, 1));
    await eventually(async () => assert.equal(await checkpointOf(tables), 1n));
    isAway = true;
    const quick = start({ ...deps, store, queue: idle });
    await archive(store, 'one');
    await eventually(async () => assert.equal(await checkpointOf(tables), 2n));
    assert.equal(running.get('one')?.aborted, false);
    isAway = false;
    await eventually(() => assert.ok(running.get('one')?.reason instanceof Cancelled));
    await Promise.all([slow.stop(), quick.stop(), queue.close(), idle.close()]);
    await tables.drop();
  });

  test('does not take back how far another one has come', async () => {
    const tables = await openTables();
    const store = memoryStore();
    const gates = { one: Promise.withResolvers<void>(), two: Promise.withResolvers<void>() };
    const hasBegun = Promise.withResolvers<void>();
    const slow: Effect = {
      name: 'work',
      atOnce: 'inOrder',
      run({ appId }) {
        hasBegun.resolve();
        return gates[appId as keyof typeof gates].promise;
      },
    };
    const { effect: quick } = collecting('work', 'inOrder');
    const queue = inlineQueue([], quiet);
    const deps = { store, sql: tables.sql, queue, reactions: [apps] };
    await register(store, 'one');
    const behind = start({ ...deps, effects: [slow] });
    await hasBegun.promise;
    await register(store, 'two');
    const ahead = start({ ...deps, effects: [quick] });
    await eventually(async () => assert.equal(await checkpointOf(tables), 2n));
    await ahead.stop();
    const moved = await tables.sql('reaction_checkpoints').first('moved_at');
    gates.one.resolve();
    await eventually(async () =>
      assert.notDeepEqual(await tables.sql('reaction_checkpoints').first('moved_at'), moved),
    );
    assert.equal(await checkpointOf(tables), 2n);
    gates.two.resolve();
    await behind.stop();
    await tables.drop();
  });
});

suite('what fails', () => {
  let tables: TestDatabase;
  before(async () => {
    tables = await openTables();
  });
  after(() => tables.drop());

  const onRegistered: Reaction = {
    on: { RepositoryRegistered: ({ data: { appId } }) => [run('work', appId, { appId })] },
  };

  /** Pauses take no time; what the process says meanwhile is kept. */
  function withoutPauses(t: TestContext) {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const waits: number[] = [];
    const errors: { detail: { event?: { type: string } }; line: string }[] = [];
    const warn = (detail: object) => {
      const { retryMs } = detail as { retryMs: number };
      waits.push(retryMs);
      setImmediate(() => t.mock.timers.tick(retryMs));
    };
    const error = (detail: object, line: string) => void errors.push({ detail, line });
    return { log: { warn, error }, waits, errors };
  }

  async function until(condition: () => boolean): Promise<void> {
    const deadline = performance.now() + 20_000;
    while (!condition()) {
      assert.ok(performance.now() < deadline, 'it never came');
      await turn();
    }
  }

  test('for itself is passed over after the eighth time, and the rest goes on', async t => {
    await tables.sql('reaction_checkpoints').delete();
    const store = memoryStore();
    for (const appId of ['one', 'poison', 'poison-too', 'three']) await register(store, appId);
    const { log, waits, errors } = withoutPauses(t);
    const ran: string[] = [];
    const work: Effect = {
      name: 'work',
      atOnce: 'inOrder',
      async run({ appId }) {
        ran.push(String(appId));
        if (String(appId).startsWith('poison')) throw new Error('always');
      },
    };
    const queue = inlineQueue([], quiet);
    const deps = { store, sql: tables.sql, queue, effects: [work], reactions: [onRegistered], log };
    const process = start(deps);
    await until(() => ran.includes('three'));
    await register(store, 'four');
    await until(() => ran.includes('four'));
    await process.stop();
    assert.equal(ran.filter(each => each === 'poison').length, 8);
    assert.equal(ran.filter(each => each === 'poison-too').length, 8);
    assert.deepEqual(ran.slice(-3), ['poison-too', 'three', 'four']);
    assert.deepEqual(waits, [100, 200, 400, 800, 1_600, 3_200, ...Array(8).fill(5_000)]);
    assert.deepEqual(
      errors.map(({ detail, line }) => [detail.event?.type, line]),
      Array(2).fill(['RepositoryRegistered', 'nothing is done about this event: it always fails']),
    );
  });

  for (const error of [new QueueUnavailable('Redis is away'), new LogUnavailable('The log is away')]) {
    test(`by the weather (${error.name}) is tried until it passes, and nothing is lost`, async t => {
      await tables.sql('reaction_checkpoints').delete();
      const store = memoryStore();
      for (const appId of ['one', 'two']) await register(store, appId);
      const { log, waits, errors } = withoutPauses(t);
      const { effect, got } = collecting('work', 1);
      const inner = inlineQueue([effect], quiet);
      let failures = 0;
      const queue: JobQueue = {
        ...inner,
        async add(job) {
          if (job.data.appId === 'two' && failures < 12) {
            failures += 1;
            throw error;
          }
          return inner.add(job);
        },
      };
      const deps = { store, sql: tables.sql, queue, effects: [effect], reactions: [onRegistered], log };
      const process = start(deps);
      await until(() => got.includes('two'));
      await process.stop();
      assert.equal(waits.length, 12);
      assert.deepEqual(errors, []);
    });
  }
});

suite('a process killed at any moment', () => {
  class Killed extends Error {}

  /** One log: what people and workers said before the reactions ran, as a process finds it that was away for long. */
  async function story(): Promise<EventStore> {
    const store = memoryStore();
    const target = { store, wrote: () => undefined };
    const looked = async (appId: string) => {
      await register(store, appId);
      const cause = await lastOf(store, `repository-${appId}`);
      const data = { appId, cause: 'registered', at: at() };
      await say(store, ingestion, appId, { type: 'QueueIngestion', data }, cause);
      await startIngestion(target, appId);
      await finishIngestion(target, appId, 1);
    };
    await register(store, 'registered');
    await looked('looked-into');
    await looked('moved');
    const changes = { repoUrl: 'https://git.example/other.git' };
    const change = { type: 'ChangeRepository', data: { appId: 'moved', at: at(), changes } };
    await say(store, repository, 'moved', change);
    await looked('built');
    const cause = await lastOf(store, 'ingestion-built');
    const buildId = deriveId('build', cause);
    const spec = { appId: 'built', repoUrl: 'x', ref: null, commit, dockerfilePath: 'Dockerfile' };
    const data = { buildId, cause: 'ingested', at: at(), ...spec };
    await say(store, build, buildId, { type: 'RequestBuild', data }, cause);
    await startBuild(target, buildId);
    await finishBuild(target, buildId);
    await register(store, 'archived');
    await archive(store, 'archived');
    return store;
  }

  /** What the log says of each app in the end, in whatever order its parts were said. */
  function outcome(events: readonly Recorded[]): readonly string[] {
    return events.map(({ type, data }) => `${'appId' in data ? data.appId : ''} ${type}`).sort();
  }

  test('loses nothing, and what it does again does not matter', async () => {
    const tables = await openTables();
    const jobs = new Set<string>();

    /** One life of a process, killed at the moment of this number; answers whether there was such a moment. */
    async function live(store: EventStore, killedAt: number): Promise<boolean> {
      let moments = 0;
      const stop = new AbortController();
      const moment = () => {
        moments += 1;
        if (moments < killedAt) return;
        stop.abort();
        throw new Killed();
      };
      const surrounded = async <T>(work: () => Promise<T>): Promise<T> => {
        moment();
        const done = await work();
        moment();
        return done;
      };
      const mortal: EventStore = {
        ...store,
        append: (...args) => surrounded(() => store.append(...args)),
        async *subscribe(options) {
          for await (const batch of store.subscribe(options)) {
            for (const event of batch.events) {
              moment();
              yield { events: [event], position: event.position, caughtUp: false };
            }
          }
        },
      };
      const idle = ['ingest', 'build', 'supersede'].map(name => collecting(name, 10).effect);
      const inner = inlineQueue(idle, quiet);
      const queue: JobQueue = {
        ...inner,
        add: job => surrounded(() => inner.add(job).then(() => void jobs.add(job.id))),
      };
      const deps = {
        store: mortal,
        clock: systemClock,
        sql: tables.sql,
        docker: noDocker,
        // None of these effects touches them.
        objects: undefined as never,
        logs: undefined as never,
        workDir: '',
        allowLocalRepositories: false,
        ingestionsAtOnce: 1,
        buildsAtOnce: 1,
        builds: readBuilds({}),
        buildSecrets: undefined as never,
        guard: undefined as never,
      };
      const effects = [queueIngestion(deps), requestBuild(deps), releaseBuild(deps), ...idle];
      const reactions = [ingestionReaction, buildReaction];
      const process = start({ store: mortal, sql: tables.sql, queue, effects, reactions }, stop);
      const last = async () => BigInt((await eventsOf(store)).length);
      const finished = eventually(async () => {
        assert.ok(stop.signal.aborted || (await checkpointOf(tables)) === (await last()));
      });
      await Promise.race([process.running, finished]);
      const wasKilled = stop.signal.aborted;
      await process.stop();
      await finished;
      await queue.close();
      return wasKilled;
    }

    const never = Number.POSITIVE_INFINITY;
    const undisturbed = await story();
    await live(undisturbed, never);
    const expected = outcome(await eventsOf(undisturbed));
    const count = (what: string) => expected.filter(each => each === what).length;
    assert.equal(count('registered IngestionQueued'), 1);
    assert.equal(count('moved IngestionQueued'), 2);
    assert.equal(count('looked-into IngestionQueued'), 1);
    assert.equal(count('looked-into BuildRequested'), 1);
    assert.equal(count('built RepositoryReleased'), 1);
    assert.equal(count('archived IngestionQueued'), 0);
    // Ids of builds are of this log alone.
    const kinds = () => [...jobs].map(id => id.replace(/(build|supersede)\..*/, '$1')).sort();
    const expectedJobs = kinds();
    assert.ok(expectedJobs.length >= 8, expectedJobs.join());

    let wasKilled = true;
    let killedAt = 0;
    while (wasKilled) {
      killedAt += 1;
      jobs.clear();
      await tables.sql('reaction_checkpoints').delete();
      const store = await story();
      wasKilled = await live(store, killedAt);
      await live(store, never);
      assert.deepEqual(outcome(await eventsOf(store)), expected, `killed at moment ${killedAt}`);
      assert.deepEqual(kinds(), expectedJobs, `killed at moment ${killedAt}`);
    }
    assert.ok(killedAt > 40, `only ${killedAt} moments`);
    await tables.drop();
  });
});
