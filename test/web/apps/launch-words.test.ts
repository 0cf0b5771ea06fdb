/** What the page says of launches and of how apps are confined, without a browser. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';

type Row = Record<string, unknown>;
type Failure = { reason: string; exitCode: number | null; oomKilled: boolean };
type Words = {
  stateWords(launch: Row, deployments: Row[]): string;
  failureWords(failure: Failure): string;
  endWords(launch: Row, deployment: Row): string;
  failedOf(launch: Row, deployments: Row[]): Row | undefined;
  earlierOf(launch: Row, deployments: Row[]): Row | undefined;
  newerOf(app: Row, launch: Row, deployments: Row[]): Row | undefined;
  comingWords(launch: Row, coming: Row): string;
};
type SandboxWords = {
  sandboxSentences(sandbox: Row): string[];
  hostsIn(text: string): string[];
  hostErrors(errors: { field: string; message: string }[], hosts: string[]): string[];
};
// The page's files are JavaScript, checked by a configuration of their own.
const load = (name: string) => import(new URL(`../../../web/${name}.js`, import.meta.url).href);
const words = (await load('apps/launch-words')) as Words;
const { sandboxSentences, hostsIn, hostErrors } = (await load('apps/sandbox-words')) as SandboxWords;
const { spanOf } = (await load('lib/format')) as { spanOf(seconds: number): string };

const at = (second: number) => new Date(Date.UTC(2026, 0, 1, 0, 0, second)).toISOString();
const launch = (more: Row = {}): Row => ({
  status: 'running',
  buildId: 'b1',
  serving: 1,
  failure: null,
  because: null,
  sleepReason: null,
  idleSeconds: 1_800,
  healthPath: null,
  endedAt: null,
  ...more,
});
const deployment = (number: number, more: Row = {}): Row => ({
  deployment: number,
  cause: 'start',
  status: 'gone',
  buildId: `b${number}`,
  commit: `${number}`.repeat(40),
  engine: 'default',
  failure: null,
  notBefore: null,
  runningAt: at(number),
  goneAt: at(number + 60),
  ...more,
});
const failure = {
  reason: 'It ended',
  exitCode: 3,
  oomKilled: false,
  at: at(50),
  lastLines: [],
  isLoop: false,
};

suite('what a launch does, in words', () => {
  test('why it sleeps', () => {
    const asleep = (more: Row) => words.stateWords(launch({ status: 'asleep', serving: null, ...more }), []);
    assert.match(
      asleep({ sleepReason: 'idle' }),
      /Nobody had visited it for 30 min, so it fell asleep\. The next/,
    );
    assert.match(asleep({ sleepReason: 'asked' }), /It was put to sleep\. The next visit wakes it/);
    const because = '2 launches of all may run at once.';
    assert.match(
      asleep({ sleepReason: 'evicted', because }),
      /needed its room\. 2 launches of all may run at once\./,
    );
  });

  test('that it could not be woken', () => {
    const newest = deployment(2, {
      cause: 'wake',
      runningAt: null,
      failure: { ...failure, reason: 'It ended.' },
    });
    const said = words.stateWords(launch({ status: 'asleep', serving: null, sleepReason: 'idle' }), [newest]);
    assert.match(said, /It was to start and did not come up: it ended\. The next visit wakes it/);
  });

  test('what it waits for when it starts', () => {
    const coming = (engine: string | null) => [deployment(1, { status: 'coming', engine, runningAt: null })];
    const starting = launch({ status: 'starting', serving: null });
    assert.equal(words.stateWords(starting, coming(null)), 'It starts: its container is being made.');
    assert.match(
      words.stateWords({ ...starting, healthPath: '/up' }, coming('default')),
      /until \/up answers well/,
    );
    assert.equal(words.stateWords(launch(), []), '', 'what runs needs no words');
  });

  test('how often it has failed in a row, and that it is over when it loops', () => {
    const restarting = launch({ status: 'restarting', serving: null });
    const again = (number: number, more: Row = {}) =>
      deployment(number, { cause: 'restart', failure, ...more });
    const twice = [again(3, { status: 'coming' }), again(2), deployment(1, { failure })];
    assert.match(words.stateWords(restarting, twice), /failed 2 times in a row/);
    const long = { ...failure, at: at(2 + 700) };
    const steady = [again(3, { status: 'coming' }), again(2, { failure: long }), deployment(1, { failure })];
    assert.doesNotMatch(words.stateWords(restarting, steady), /in a row/, 'it had run for a while');
    const looped = launch({ status: 'failed', serving: null, failure: { ...failure, isLoop: true } });
    assert.match(words.stateWords(looped, []), /again and again, so it is not started any more/);
  });

  test('how a container ended, without saying a thing twice', () => {
    assert.equal(words.failureWords(failure), 'It ended (exit code 3).');
    assert.equal(
      words.failureWords({ ...failure, reason: 'Ended with exit code 3' }),
      'Ended with exit code 3.',
    );
    assert.match(words.failureWords({ ...failure, oomKilled: true }), /It used more memory than it may\.$/);
  });

  test('what became of each deployment', () => {
    const ends = (more: Row, of: Row = launch()) => words.endWords(of, deployment(1, more));
    assert.equal(ends({}), 'Served for 1 min 0 s');
    assert.equal(ends({ goneAt: null }, launch({ endedAt: at(31) })), 'Served for 30 s');
    assert.match(ends({ status: 'retiring', goneAt: null }), /then goes/);
    assert.equal(ends({ runningAt: null }), 'Given up before it answered');
    assert.equal(ends({ failure }), 'It ended (exit code 3).');
    assert.equal(ends({ status: 'coming', engine: null }), 'Its container is being made');
  });
});

suite('what can be done with a launch', () => {
  const first = deployment(1);
  test('one that did not come up is told while another one serves', () => {
    const failed = deployment(2, { failure, runningAt: null });
    assert.equal(words.failedOf(launch(), [failed, first]), failed);
    assert.equal(words.failedOf(launch({ serving: null }), [failed, first]), undefined);
    assert.equal(words.failedOf(launch({ serving: 3 }), [deployment(3), failed, first]), undefined);
  });

  test('the way back leads to what has run, not to what failed', () => {
    const failed = deployment(3, { failure, runningAt: null });
    const present = launch({ buildId: 'b2', serving: 2 });
    assert.equal(words.earlierOf(present, [failed, deployment(2), first]), first);
    assert.equal(words.earlierOf(launch(), [first]), undefined);
  });

  test('a newer build is offered until it is on its way', () => {
    const app = { release: { buildId: 'b2', commit: 'c' } };
    assert.equal(words.newerOf(app, launch(), [first]), app.release);
    assert.equal(words.newerOf(app, launch({ buildId: 'b2' }), []), undefined);
    const coming = deployment(2, { status: 'coming', runningAt: null });
    assert.equal(words.newerOf(app, launch(), [coming, first]), undefined);
    assert.match(
      words.comingWords(launch(), { ...coming, cause: 'redeploy' }),
      /^Deployment 2 \(redeployed with 2222222\) is coming: .* Deployment 1 goes on serving\.$/,
    );
  });
});

suite('how an app is confined, in words', () => {
  test('says whom it may speak to, who it is, and whose kernel it has', () => {
    const closed = sandboxSentences({ egress: [], allowRoot: false, runtime: 'default' });
    assert.match(closed.join(' '), /speak to nobody.*never root.*shares the kernel/);
    const open = sandboxSentences({
      egress: ['a.example', 'b.example', 'c.example'],
      allowRoot: true,
      runtime: 'runsc',
    });
    assert.match(
      open.join(' '),
      /to a\.example, b\.example and c\.example, and to nobody else.*may be root.*gVisor/,
    );
  });

  test('hosts are read as people write them, and what is wrong names the one it is', () => {
    const hosts = hostsIn(' a.example,\n10.0.0.1\n\n b.example ');
    assert.deepEqual(hosts, ['a.example', '10.0.0.1', 'b.example']);
    const errors = [{ field: 'egress.1', message: 'must be a host name' }];
    assert.deepEqual(hostErrors(errors, hosts), ['“10.0.0.1” must be a host name']);
    assert.deepEqual(hostErrors([{ field: 'runtime', message: 'x' }], hosts), []);
  });

  test('times that are chosen are said in one unit', () => {
    assert.deepEqual([90, 1_800, 7_200, 86_400, 604_800].map(spanOf), [
      '90 s',
      '30 min',
      '2 h',
      '1 day',
      '7 days',
    ]);
  });
});
