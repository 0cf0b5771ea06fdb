/** Jobs in the process: how many run at once, what is one job, and what becomes of those that fail or are cancelled. */
import assert from 'node:assert/strict';
import { suite, type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { Cancelled, type Effect, Shutdown } from '../../workers/effect.ts';
import { inlineQueue } from '../../workers/inline-queue.ts';
import { holdingEffect, jobOf } from '../support/holding-effect.ts';
import { eventually } from '../support/workers.ts';

function openQueue(...effects: Effect[]) {
  const warnings: string[] = [];
  const log = {
    warn: (_detail: object, line: string) => void warnings.push(line),
    error: (_detail: object, line: string) => assert.fail(line),
  };
  return { queue: inlineQueue(effects, log), warnings };
}

/** Every promise that can go on without time has done so. */
async function settle(): Promise<void> {
  for (let turns = 0; turns < 5; turns += 1) await turn();
}

suite('jobs in the process', () => {
  test('run side by side as many as may, each effect for itself, in the order they came', async () => {
    const slow = holdingEffect('slow', 2);
    const quick = holdingEffect('quick', 1);
    const { queue } = openQueue(slow.effect, quick.effect);
    for (const key of ['a', 'b', 'c', 'd']) await queue.add(jobOf('slow', key));
    await queue.add(jobOf('quick', 'x'));
    await settle();
    assert.deepEqual([...slow.running.keys()], ['a', 'b']);
    assert.deepEqual([...quick.running.keys()], ['x']);
    slow.end('b');
    await settle();
    assert.deepEqual([...slow.running.keys()], ['a', 'c']);
    slow.end('a');
    slow.end('c');
    await settle();
    assert.deepEqual(slow.begun, ['a', 'b', 'c', 'd']);
    await queue.close();
  });

  test('with an id that waits or runs are that job; once it has ended they are another', async () => {
    const { effect, begun, end } = holdingEffect('work', 2);
    const { queue } = openQueue(effect);
    for (const key of ['a', 'a', 'b', 'c', 'c', 'a']) await queue.add(jobOf('work', key));
    await settle();
    assert.deepEqual(begun, ['a', 'b']);
    end('b');
    await settle();
    assert.deepEqual(begun, ['a', 'b', 'c']);
    end('a');
    await settle();
    await queue.add(jobOf('work', 'a'));
    await settle();
    assert.deepEqual(begun, ['a', 'b', 'c', 'a']);
    await queue.close();
  });

  test('are refused where nobody could do them', async () => {
    const { queue } = openQueue(holdingEffect('in-order', 'inOrder').effect);
    await assert.rejects(queue.add(jobOf('unknown', 'a')), /no effect unknown/);
    await assert.rejects(queue.add(jobOf('in-order', 'a')), /no effect in-order/);
    await queue.close();
  });

  test('beyond what may wait are left to the sweep, and taken when it finds them', async () => {
    const first = Promise.withResolvers<void>();
    const begun = new Set<unknown>();
    const effect: Effect = {
      name: 'work',
      atOnce: 1,
      run: async ({ key }) => {
        begun.add(key);
        if (key === 'first') await first.promise;
      },
    };
    const { queue, warnings } = openQueue(effect);
    await queue.add(jobOf('work', 'first'));
    for (let n = 1; n <= 10_000; n += 1) await queue.add(jobOf('work', `${n}`));
    assert.deepEqual(warnings, []);
    await queue.add(jobOf('work', 'late'));
    assert.deepEqual(warnings, ['too many jobs wait; the sweep will find this one again']);
    first.resolve();
    await eventually(() => assert.equal(begun.size, 10_001));
    assert.ok(!begun.has('late'));
    await queue.add(jobOf('work', 'late'));
    await settle();
    assert.ok(begun.has('late'));
    await queue.close();
  });

  test('that were cancelled end, or never begin, and are not tried again', async () => {
    const { effect, begun, running } = holdingEffect('work', 1);
    const { queue, warnings } = openQueue(effect);
    for (const key of ['a', 'b', 'c']) await queue.add(jobOf('work', key));
    await settle();
    const { signal } = running.get('a') ?? assert.fail('a does not run');
    queue.cancel('work.b', new Cancelled());
    queue.cancel('work.a', new Cancelled());
    queue.cancel('work.nobody', new Cancelled());
    await settle();
    assert.ok(signal.reason instanceof Cancelled);
    assert.deepEqual(begun, ['a', 'c']);
    assert.deepEqual(warnings, []);
    await queue.close();
  });
});

suite('jobs in the process that fail', () => {
  /** An effect that fails as often as it is told to. */
  function failing(times: number) {
    let runs = 0;
    const effect: Effect = {
      name: 'work',
      atOnce: 1,
      async run() {
        runs += 1;
        if (runs <= times) throw new Error('not yet');
      },
    };
    return { effect, runs: () => runs };
  }

  /** Time goes on only when the test says so. */
  function stopTime(t: TestContext) {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    return async (ms: number) => {
      t.mock.timers.tick(ms);
      await settle();
    };
  }

  test('are tried again, later each time, and given up after the fifth time', async t => {
    const pass = stopTime(t);
    const { effect, runs } = failing(Number.POSITIVE_INFINITY);
    const { queue, warnings } = openQueue(effect);
    await queue.add(jobOf('work', 'a'));
    await settle();
    assert.equal(runs(), 1);
    for (const [at, waitMs] of [1_000, 2_000, 4_000, 8_000].entries()) {
      await pass(waitMs - 1);
      assert.equal(runs(), at + 1, `not before ${waitMs} ms`);
      await pass(1);
      assert.equal(runs(), at + 2, `after ${waitMs} ms`);
    }
    await pass(3_600_000);
    assert.equal(runs(), 5);
    assert.deepEqual(warnings, Array(5).fill('a job failed'));
    await queue.add(jobOf('work', 'a'));
    await settle();
    assert.equal(runs(), 6);
    await queue.close();
  });

  test('are the same job while they wait for the next time, and go then', async t => {
    const pass = stopTime(t);
    const { effect, runs } = failing(1);
    const { queue } = openQueue(effect);
    await queue.add(jobOf('work', 'a'));
    await settle();
    await queue.add(jobOf('work', 'a'));
    await settle();
    assert.equal(runs(), 1);
    await pass(1_000);
    assert.equal(runs(), 2);
    await pass(3_600_000);
    assert.equal(runs(), 2);
    await queue.close();
  });

  test('do not outlast a cancellation between two times', async t => {
    const pass = stopTime(t);
    const { effect, runs } = failing(Number.POSITIVE_INFINITY);
    const { queue } = openQueue(effect);
    await queue.add(jobOf('work', 'a'));
    await settle();
    queue.cancel('work.a', new Cancelled());
    await pass(3_600_000);
    assert.equal(runs(), 1);
    await queue.close();
  });

  test('do not keep a process that goes down', async t => {
    stopTime(t);
    const { effect, runs } = failing(Number.POSITIVE_INFINITY);
    const { queue } = openQueue(effect);
    await queue.add(jobOf('work', 'a'));
    await settle();
    await queue.close();
    assert.equal(runs(), 1);
  });
});

suite('jobs of a process that goes down', () => {
  test('end with Shutdown and are waited for; none begins', async () => {
    const { effect, begun, running } = holdingEffect('work', 1);
    const { queue, warnings } = openQueue(effect);
    await queue.add(jobOf('work', 'a'));
    await queue.add(jobOf('work', 'b'));
    await settle();
    const { signal } = running.get('a') ?? assert.fail('a does not run');
    await queue.close();
    assert.ok(signal.reason instanceof Shutdown);
    assert.equal(running.size, 0);
    await queue.add(jobOf('work', 'c'));
    await settle();
    assert.deepEqual(begun, ['a']);
    assert.deepEqual(warnings, []);
  });

  test('that end all the same are waited for to their end', async () => {
    const done = Promise.withResolvers<void>();
    let hasEnded = false;
    const effect: Effect = {
      name: 'work',
      atOnce: 1,
      async run() {
        await done.promise;
        hasEnded = true;
      },
    };
    const { queue } = openQueue(effect);
    await queue.add(jobOf('work', 'a'));
    const closing = queue.close().then(() => assert.ok(hasEnded, 'it was not waited for'));
    await settle();
    done.resolve();
    await closing;
  });

  test('that do not listen are left after a while', async t => {
    const deaf: Effect = { name: 'work', atOnce: 1, run: () => new Promise(() => {}) };
    const { queue } = openQueue(deaf);
    await queue.add(jobOf('work', 'a'));
    t.mock.timers.enable({ apis: ['setTimeout'] });
    let isClosed = false;
    const closing = queue.close().then(() => {
      isClosed = true;
    });
    t.mock.timers.tick(7_999);
    await settle();
    assert.equal(isClosed, false);
    t.mock.timers.tick(1);
    await closing;
  });
});
