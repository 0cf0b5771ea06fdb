/** Looking whether branches have moved: who is looked at, what a moved one leads to, and what a bad server does not. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { after, before, suite, test } from 'node:test';
import { ingestion } from '../../../domain/apps/ingestion.ts';
import { freePort } from '../../../platform/free-port.ts';
import { syncApps } from '../../../workers/apps/sync.ts';
import { type GitServer, startGitServer } from '../../support/git-server.ts';
import { commit, finishIngestion, startIngestion } from '../../support/play.ts';
import { commitTo, git, makeRepo } from '../../support/sample-repos.ts';
import { eventually, found, history, openWorkerBench, type WorkerBench } from '../../support/workers.ts';

const at = () => new Date().toISOString();
const never = new AbortController().signal;
const ready = ['IngestionQueued', 'IngestionStarted', 'IngestionSucceeded'];

let root: string;
let server: GitServer;
before(async () => {
  root = await mkdtemp(path.join(os.tmpdir(), 'apphub-test-sync-'));
  server = await startGitServer({ root });
});
after(async () => {
  await server.close();
  await rm(root, { recursive: true, force: true });
});

suite('a look at the branches', () => {
  let bench: WorkerBench;
  let workers: { close(): Promise<void> };
  before(async () => {
    bench = await openWorkerBench();
    workers = await bench.start();
  });
  after(() => bench.close());

  const look = (signal = never) => syncApps({ ...bench.deps, syncSeconds: 0 }, signal);
  const ends = (appId: string, ...types: string[]) =>
    eventually(() => assert.deepEqual(history(bench, 'ingestion', appId), types));
  /** An attempt that never saw a commit, and is the last. */
  function failRun(appId: string, run: number) {
    const why = { reason: 'away', commit: null, durations: { cloneMs: 1, inspectMs: 0, storeMs: 0 } };
    const data = { appId, run, attempt: 1, ...why, retryAt: null, durationMs: 1, at: at() };
    return bench.say(ingestion, appId, { type: 'FailIngestion', data });
  }
  const projected = () => bench.projected();

  /** An app with one commit that can be ingested, and is. */
  async function app(appId: string, more: { ref?: string } = {}) {
    const repo = makeRepo(root, appId);
    const push = (text: string, branch?: string) =>
      commitTo(repo, { Dockerfile: `FROM scratch\nLABEL text=${text}\n` }, text, branch);
    const first = push('one', more.ref);
    await bench.register(appId, `${server.url}/${appId}.git`, more);
    await ends(appId, ...ready);
    await projected();
    return { repo, push, first };
  }

  const asks = (appId: string) => server.requests.filter(line => line.includes(`/${appId}.git/info/refs`));

  test('leads to an ingestion where the branch has moved, once, and to nothing where it has not', async () => {
    const { push } = await app('moves');
    await look();
    await look();
    await ends('moves', ...ready);
    const second = push('two');
    await Promise.all([look(), look(), look()]);
    await ends('moves', ...ready, ...ready);
    await projected();
    assert.equal(found(bench, 'IngestionQueued', 'moves').data.cause, 'sync');
    assert.equal(found(bench, 'IngestionQueued', 'moves').metadata.actor, 'workers');
    assert.equal(found(bench, 'IngestionSucceeded', 'moves').data.commit, second);
    await look();
    await ends('moves', ...ready, ...ready);
  });

  test('sees a branch that was set back to what it was before', async () => {
    const { repo, push, first } = await app('back');
    const second = push('two');
    const seen = [...ready];
    // There, back, and there again: each time is another one.
    for (const head of [second, first, second]) {
      git(repo, ['update-ref', 'refs/heads/main', head]);
      await look();
      seen.push(...ready);
      await ends('back', ...seen);
      assert.equal(found(bench, 'IngestionSucceeded', 'back').data.commit, head);
      await projected();
    }
  });

  test('is at the branch that the app names, and only there', async () => {
    const { push } = await app('branch', { ref: 'stable' });
    push('elsewhere');
    await look();
    await ends('branch', ...ready);
    const moved = push('two', 'stable');
    await look();
    await ends('branch', ...ready, ...ready);
    assert.equal(found(bench, 'IngestionSucceeded', 'branch').data.commit, moved);
  });

  test('leaves out archived apps', async () => {
    const { push } = await app('archived');
    await bench.archive('archived');
    push('two');
    await projected();
    const before = asks('archived').length;
    await look();
    assert.equal(asks('archived').length, before);
    await ends('archived', ...ready);
  });

  test('finds out that a push has mended what failed, and does not repeat what would fail again', async () => {
    const repo = makeRepo(root, 'mended');
    commitTo(repo, { 'README.md': '# Nothing to build\n' }, 'One');
    const failed = ['IngestionQueued', 'IngestionStarted', 'IngestionFailed'];
    await bench.register('mended', `${server.url}/mended.git`);
    await ends('mended', ...failed);
    await projected();
    await look();
    await look();
    await ends('mended', ...failed);
    commitTo(repo, { Dockerfile: 'FROM scratch\n' }, 'Two');
    await look();
    await ends('mended', ...failed, ...ready);
  });

  test('finds out that a push was taken back that could not be built', async () => {
    const { repo, push, first } = await app('taken-back');
    commitTo(repo, { Dockerfile: null }, 'Without');
    await look();
    const failed = ['IngestionQueued', 'IngestionStarted', 'IngestionFailed'];
    await ends('taken-back', ...ready, ...failed);
    await projected();
    git(repo, ['update-ref', 'refs/heads/main', first]);
    await look();
    await ends('taken-back', ...ready, ...failed, ...ready);
    await projected();
    // One that could not even be cloned is not begun again for the same head.
    push('two');
    await workers.close();
    await look();
    const target = { store: bench.store, wrote: () => undefined };
    await startIngestion(target, 'taken-back', 4);
    await failRun('taken-back', 4);
    await projected();
    await look();
    await ends('taken-back', ...ready, ...failed, ...ready, ...failed);
    workers = await bench.start();
  });

  test('does not begin again what somebody has called off', async () => {
    const { push } = await app('called-off');
    const target = { store: bench.store, wrote: () => undefined };
    // Called off before a worker of this process could take it up.
    await workers.close();
    const retry = {
      type: 'QueueIngestion',
      data: { appId: 'called-off', cause: 'retry', at: at() },
    } as const;
    await bench.say(ingestion, 'called-off', retry);
    await startIngestion(target, 'called-off', 2);
    await bench.cancelIngestion('called-off');
    workers = await bench.start();
    push('two');
    await projected();
    await look();
    const calledOff = ['IngestionQueued', 'IngestionStarted', 'IngestionCancelled'];
    await ends('called-off', ...ready, ...calledOff);
    await bench.retry('called-off');
    await ends('called-off', ...ready, ...calledOff, ...ready);
  });

  test('survives servers that are away or say nothing: the others are looked at, and the reason is kept', async () => {
    const { push } = await app('healthy');
    const silent = createServer();
    await new Promise<void>(resolve => silent.listen(0, '127.0.0.1', resolve));
    const address = silent.address() as { port: number };
    const sockets: { destroy(): void }[] = [];
    silent.on('connection', socket => void sockets.push(socket));
    const target = { store: bench.store, wrote: () => undefined };
    // They were well once, so that they are looked at now.
    await workers.close();
    for (const [appId, port] of [
      ['away', await freePort()],
      ['silent', address.port],
    ] as const) {
      await bench.register(appId, `http://127.0.0.1:${port}/x.git`);
      const { id } = await eventually(() => found(bench, 'RepositoryRegistered', appId));
      const data = { appId, cause: 'registered', at: at() } as const;
      await bench.say(ingestion, appId, { type: 'QueueIngestion', data }, id);
      await startIngestion(target, appId);
      await finishIngestion(target, appId, 1);
    }
    workers = await bench.start();
    push('two');
    await projected();
    const stop = new AbortController();
    const looking = look(stop.signal);
    await ends('healthy', ...ready, ...ready);
    const problem = async (appId: string) =>
      (await bench.sql('worker_syncs').where({ app_id: appId }).first())?.problem;
    await eventually(async () => assert.match((await problem('away')) ?? '', /could not be reached/));
    // Nobody waits for a server that says nothing: the process may go down meanwhile.
    assert.ok(sockets.length > 0);
    stop.abort();
    await looking;
    assert.equal(await problem('silent'), undefined);
    for (const appId of ['away', 'silent']) assert.deepEqual(history(bench, 'ingestion', appId), ready);
    assert.equal(found(bench, 'IngestionSucceeded', 'away').data.commit, commit);
    for (const appId of ['away', 'silent']) await bench.archive(appId);
    for (const socket of sockets) socket.destroy();
    silent.close();
    await projected();
  });

  test('that dies before the log has it is made again, and told once', async () => {
    const { push } = await app('dies');
    push('two');
    bench.faults.append = types => types.includes('IngestionQueued');
    await assert.rejects(look(), /The log is away/);
    // Not noted as looked at: the next round does not wait.
    const due = await bench.sql('worker_syncs').where({ app_id: 'dies' }).first('checked_at');
    delete bench.faults.append;
    await look();
    await ends('dies', ...ready, ...ready);
    const looked = await bench.sql('worker_syncs').where({ app_id: 'dies' }).first('checked_at');
    assert.notDeepEqual(looked, due);
  });

  test('comes round only when the time between two looks is over, the longest waiting first', async () => {
    const { push } = await app('patient');
    push('two');
    await syncApps({ ...bench.deps, syncSeconds: 3_600 }, never);
    await ends('patient', ...ready);
    const hourAgo = bench.sql.raw("now() - interval '61 minutes'");
    await bench
      .sql('worker_syncs')
      .insert({ app_id: 'patient', checked_at: hourAgo, problem: 'it was away' });
    await syncApps({ ...bench.deps, syncSeconds: 3_600 }, never);
    await ends('patient', ...ready, ...ready);
    const { problem } = await bench.sql('worker_syncs').where({ app_id: 'patient' }).first();
    assert.equal(problem, null);
  });
});
