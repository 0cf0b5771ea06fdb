/** What the proxy remembers of launches: fresh enough, looked at together, and good for a while when the database is away. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { PreviewCache } from '../../platform/preview-cache.ts';
import type { Target } from '../../platform/preview-target.ts';
import { upAt } from '../support/preview.ts';

function play() {
  const tables = new Map<string, Target>();
  const asked: (readonly string[])[] = [];
  const state = { nowMs: 0, fails: false, held: undefined as Promise<void> | undefined };
  const cache = new PreviewCache(
    async names => {
      asked.push([...names]);
      const read = new Map(
        names.flatMap(name => (tables.has(name) ? [[name, tables.get(name)!] as const] : [])),
      );
      await state.held;
      if (state.fails) throw new Error('no database');
      return read;
    },
    () => state.nowMs,
  );
  const set = (name: string, port: number) => tables.set(name, upAt(name, { host: '127.0.0.1', port }));
  const portOf = async (name: string) => {
    const found = await cache.find(name);
    return found?.state === 'up' ? found.port : undefined;
  };
  /** Whatever was begun has come to its end. */
  const settled = () => new Promise(resolve => setImmediate(resolve));
  return { cache, tables, asked, state, set, portOf, settled };
}

suite('what is known of launches', () => {
  test('is asked for once, by however many, and then known at once', async () => {
    const { cache, asked, set, portOf } = play();
    set('a', 1);
    assert.deepEqual(await Promise.all([portOf('a'), portOf('a'), portOf('a')]), [1, 1, 1]);
    assert.deepEqual(asked, [['a']]);
    assert.ok(!(cache.find('a') instanceof Promise));
    assert.equal(await portOf('nobody'), undefined);
    assert.equal(cache.find('nobody'), undefined);
    assert.deepEqual(asked, [['a'], ['nobody']]);
  });

  test('is looked at in one query when the tables have moved, also what was not there', async () => {
    const { cache, asked, set, portOf, settled } = play();
    set('a', 1);
    for (const name of ['a', 'b']) await portOf(name);
    set('a', 2);
    set('b', 3);
    const moved = cache.moved(60_000);
    cache.invalidate();
    await moved;
    assert.deepEqual(
      [cache.find('a'), cache.find('b')].map(one => (one as { port: number }).port),
      [2, 3],
    );
    assert.deepEqual(asked.slice(2), [['a', 'b']]);
    // Many announcements in a row are one more look.
    for (let count = 0; count < 100; count += 1) cache.invalidate();
    await settled();
    await settled();
    assert.equal(asked.length, 5);
  });

  test('is used once more while it is looked at, and not when it is older than that', async () => {
    const { state, set, portOf, settled } = play();
    set('a', 1);
    await portOf('a');
    set('a', 2);
    state.nowMs = 500;
    assert.equal(await portOf('a'), 1);
    state.nowMs = 501;
    assert.equal(await portOf('a'), 1);
    await settled();
    assert.equal(await portOf('a'), 2);
    set('a', 3);
    state.nowMs += 2_001;
    assert.equal(await portOf('a'), 3);
  });

  test('a look that began earlier and ends later changes nothing', async () => {
    const { cache, state, set, portOf } = play();
    set('a', 1);
    await portOf('a');
    const slow = Promise.withResolvers<void>();
    state.held = slow.promise;
    const early = cache.look('a');
    state.held = undefined;
    set('a', 2);
    const moved = cache.moved(60_000);
    cache.invalidate();
    await moved;
    assert.equal(await portOf('a'), 2);
    slow.resolve();
    await early;
    assert.equal(await portOf('a'), 2);
  });

  test('whoever asks anew is not told what was read before he asked', async () => {
    const { cache, state, set, settled } = play();
    set('a', 1);
    const slow = Promise.withResolvers<void>();
    state.held = slow.promise;
    const first = cache.look('a');
    await settled();
    set('a', 2);
    const second = cache.look('a');
    slow.resolve();
    assert.deepEqual(
      [await first, await second].map(one => (one as { port: number }).port),
      [1, 2],
    );
  });

  test('is good for half a minute without the database, and what nobody knows is not', async () => {
    const { asked, state, set, portOf } = play();
    set('a', 1);
    await portOf('a');
    await portOf('nobody');
    state.fails = true;
    state.nowMs = 10_000;
    assert.equal(await portOf('a'), 1);
    const count = asked.length;
    assert.equal(await portOf('a'), 1);
    assert.equal(asked.length, count, 'not asked again at once');
    await assert.rejects(portOf('nobody'), /no database/);
    await assert.rejects(portOf('new'), /no database/);
    state.nowMs = 30_001;
    await assert.rejects(portOf('a'), /no database/);
    state.fails = false;
    assert.equal(await portOf('a'), 1);
  });

  test('what nobody visits any more is no longer looked at', async () => {
    const { cache, asked, state, set, portOf, settled } = play();
    set('a', 1);
    set('b', 2);
    await portOf('a');
    state.nowMs = 59_000;
    await portOf('b');
    state.nowMs = 60_001;
    cache.invalidate();
    await settled();
    assert.deepEqual(asked.at(-1), ['b']);
  });
});
