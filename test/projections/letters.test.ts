/** Events that cannot be applied, in the midst of others: what goes on, what waits, and what is there once they can be. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import type { Knex } from 'knex';
import type { Recorded } from '../../domain/events.ts';
import { memoryStore } from '../../eventstore/memory.ts';
import type { EventStore } from '../../eventstore/store.ts';
import { testDatabase } from '../support/postgres.ts';
import { checkProjector, liveDigests, reached, startProjector, until, write } from '../support/projector.ts';
import { type Fault, tried, triedName } from '../support/tried-projection.ts';

const name = triedName;
const at = '2026-01-02T03:04:05.000Z';
const runs = Number(process.env.APPHUB_LETTER_RUNS ?? 12);

const streamOf = (appId: string) => `apps.repository-${appId}`;
const change = (store: EventStore, appId: string, word: string) =>
  write(store, streamOf(appId), {
    type: 'RepositoryChanged',
    data: { appId, changes: { name: word }, at },
  } as never);
const replay = (store: EventStore, position: string | null = null) =>
  write(store, 'platform.dead-letter-tried', {
    type: 'DeadLetterReplayRequested',
    data: { projection: name, position, at },
  });
const lettersIn = async (sql: Knex) =>
  (await sql('projection_letters').orderBy('position')).map(row => ({ ...row, position: `${row.position}` }));
/** In what is read; one that has been replaced keeps its own. */
const noLetters = (sql: Knex) =>
  until(
    'no letters',
    async () => (await sql('projection_checkpoints').where({ name }).first()).letters === 0,
  );
const trailOf = async (sql: Knex, id: string) => (await sql(name).where({ id }).first('trail'))?.trail;

/** The digests that the log gives where nothing is wrong, from the beginning, in a database of its own. */
async function soundDigests(store: EventStore, to: bigint, shares = false): Promise<object> {
  const { sql, drop: away } = await testDatabase();
  const projection = tried({ of: () => 'none' }, { shares });
  const running = startProjector(sql, store, [projection]);
  try {
    await reached(sql, name, to);
    return await liveDigests(sql, projection);
  } finally {
    await running.stop();
    await away();
  }
}

suite('a dead letter', () => {
  for (const fault of ['throws', 'refused'] as const) {
    checkProjector(`(${fault}) stops its stream, and nothing else`, async ({ sql, store, start }) => {
      let isFixed = false;
      const isBad = ({ data }: Recorded) => 'changes' in data && JSON.stringify(data.changes).includes('bad');
      const faults = { of: (event: Recorded) => (!isFixed && isBad(event) ? fault : 'none') };
      const projection = tried(faults);
      for (let n = 0; n < 20; n += 1) await change(store, `app${n % 4}`, `w${n}`);
      const poison = await change(store, 'app1', 'bad');
      await change(store, 'app1', 'after');
      for (let n = 0; n < 20; n += 1) await change(store, `app${n % 4}`, `x${n}`);
      const running = start(projection);
      const last = await change(store, 'app2', 'end');
      await reached(sql, name, last);
      assert.deepEqual(await Promise.all(['app0', 'app1', 'app2', 'app3'].map(id => trailOf(sql, id))), [
        'x16',
        'w17',
        'end',
        'x19',
      ]);
      const [letter, ...rest] = await lettersIn(sql);
      assert.deepEqual(rest, []);
      const { stream, position, type, attempts, waiting } = letter;
      assert.deepEqual(
        [stream, position, type, attempts],
        [streamOf('app1'), `${poison}`, 'RepositoryChanged', 1],
      );
      assert.equal(waiting, 6);
      assert.match(
        letter.error,
        fault === 'throws' ? /^TypeError: cannot read bad$/ : /null value in column "trail".*23502/,
      );
      assert.equal((await sql('projection_checkpoints').where({ name }).first('letters')).letters, 1);
      // What comes live waits too, and one that is tried in vain is kept with what was tried.
      await reached(sql, name, await change(store, 'app1', 'later'));
      await replay(store, `${poison}`);
      const again = await until('another attempt', async () =>
        (await lettersIn(sql)).find(one => one.attempts === 2),
      );
      assert.deepEqual([again.waiting, again.position], [7, `${poison}`]);
      isFixed = true;
      await replay(store);
      await noLetters(sql);
      assert.equal(await trailOf(sql, 'app1'), 'later');
      const to = await change(store, 'app1', 'live');
      await reached(sql, name, to);
      assert.equal((await sql('projection_checkpoints').where({ name }).first('letters')).letters, 0);
      assert.deepEqual(await liveDigests(sql, projection), await soundDigests(store, to));
      await running.stop();
      assert.deepEqual(running.errors, []);
    });
  }

  checkProjector('whose stream has another moves on to it', async ({ sql, store, start }) => {
    const good = new Set<string>();
    const faults = {
      of: ({ data }: Recorded): Fault => {
        const word = 'changes' in data ? `${(data.changes as { name?: string }).name}` : '';
        return word.startsWith('bad') && !good.has(word)
          ? word.endsWith('1')
            ? 'refused'
            : 'throws'
          : 'none';
      },
    };
    await change(store, 'a', 'bad1');
    await change(store, 'a', 'one');
    const second = await change(store, 'a', 'bad2');
    const last = await change(store, 'a', 'two');
    start(tried(faults));
    await reached(sql, name, last);
    const [first] = await lettersIn(sql);
    assert.deepEqual([first.position, first.waiting], ['1', 3]);
    good.add('bad1');
    await replay(store, '1');
    const next = await until('the next', async () =>
      (await lettersIn(sql)).find(one => one.position === `${second}`),
    );
    assert.deepEqual([next.attempts, next.waiting], [1, 1]);
    assert.equal(await trailOf(sql, 'a'), 'one');
    good.add('bad2');
    await replay(store, `${second}`);
    await noLetters(sql);
    assert.equal(await trailOf(sql, 'a'), 'two');
  });

  checkProjector(
    'is skipped only when it is asked for, and what waits goes on',
    async ({ sql, store, start }) => {
      const faults = { of: ({ position }: Recorded): Fault => (position === 2n ? 'throws' : 'none') };
      await change(store, 'a', 'one');
      await change(store, 'a', 'two');
      await change(store, 'a', 'three');
      const last = await change(store, 'b', 'one');
      start(tried(faults));
      await reached(sql, name, last);
      assert.equal(await trailOf(sql, 'a'), 'one');
      await write(store, 'platform.dead-letter-tried', {
        type: 'DeadLetterSkipped',
        data: { projection: name, position: '2', reason: 'of no use', at },
      });
      await noLetters(sql);
      const { trail, n } = await sql(name).where({ id: 'a' }).first();
      assert.deepEqual([trail, n], ['three', 2]);
    },
  );

  checkProjector(
    'that others have overtaken is put in its place by a rebuild',
    async ({ sql, store, start }) => {
      let isFixed = false;
      const faults = {
        of: ({ position }: Recorded): Fault => (position === 2n && !isFixed ? 'throws' : 'none'),
      };
      await change(store, 'a', 'one');
      await change(store, 'b', 'two');
      const last = await change(store, 'c', 'three');
      const projection = tried(faults, { shares: true });
      const running = start(projection);
      await reached(sql, name, last);
      isFixed = true;
      const asked = await replay(store);
      await until('the next generation', async () => {
        const { generation } = await sql('projection_checkpoints').where({ name }).first();
        return generation === 2;
      });
      await reached(sql, name, asked);
      assert.equal((await sql(`${name}_last`).first()).name, 'three');
      assert.equal(await trailOf(sql, 'b'), 'two');
      assert.deepEqual(await liveDigests(sql, projection), await soundDigests(store, asked, true));
      assert.deepEqual(running.errors, []);
    },
  );

  checkProjector(
    'more than before keep a rebuild from being shown, unless it is told to',
    async ({ sql, store, start }) => {
      let faulty = false;
      const faults = {
        of: ({ position }: Recorded): Fault => (position === 2n && faulty ? 'throws' : 'none'),
      };
      await change(store, 'a', 'one');
      await change(store, 'b', 'two');
      const last = await change(store, 'a', 'three');
      start(tried(faults));
      await reached(sql, name, last);
      faulty = true;
      const ask = (type: string, more: object = {}) =>
        write(store, 'platform.projection-tried', { type, data: { projection: name, at, ...more } } as never);
      const asked = await ask('ProjectionRebuildRequested');
      const held = await until('the rebuild', async () => {
        const row = await sql('projection_generations').where({ name, role: 'next' }).first();
        return Number(row?.position) >= Number(asked) && row;
      });
      assert.deepEqual([held.letters, held.problem], [1, null]);
      await reached(sql, name, await change(store, 'a', 'four'));
      const live = () => sql('projection_checkpoints').where({ name }).first();
      assert.deepEqual([(await live()).generation, (await live()).letters], [1, 0]);
      await ask('ProjectionShowRequested', { reason: 'we can live with it' });
      await until('the switch', async () => (await live()).generation === 2);
      assert.equal((await live()).letters, 1);
      faulty = false;
      await replay(store);
      await noLetters(sql);
      assert.equal(await trailOf(sql, 'b'), 'two');
    },
  );

  test('planted anywhere gives, once it can be applied, what the log gives without', {
    timeout: 280_000,
  }, async () => {
    const event = fc.record({
      app: fc.integer({ min: 0, max: 3 }),
      bad: fc.constantFrom<Fault>('none', 'none', 'none', 'throws', 'refused'),
    });
    const course = fc.record({
      before: fc.array(event, { maxLength: 25 }),
      live: fc.array(event, { maxLength: 8 }),
      shares: fc.boolean(),
    });
    const property = fc.asyncProperty(course, async ({ before, live, shares }) => {
      const { sql, drop: away } = await testDatabase();
      const store = memoryStore();
      const bad = new Map<string, Fault>();
      let isFixed = false;
      let word = 0;
      const say = async (one: { app: number; bad: Fault }) => {
        word += 1;
        bad.set(`w${word}`, one.bad);
        return change(store, `app${one.app}`, `w${word}`);
      };
      const faults = {
        of: ({ data }: Recorded): Fault =>
          isFixed
            ? 'none'
            : (bad.get(`${'changes' in data ? (data.changes as { name?: string }).name : ''}`) ?? 'none'),
      };
      const projection = tried(faults, { shares });
      for (const one of before) await say(one);
      const running = startProjector(sql, store, [projection]);
      try {
        for (const one of live) await say(one);
        await reached(sql, name, await change(store, 'other', 'mark'));
        // Of each stream just what lies before its first poison, however the log was cut into batches.
        const all = [...before, ...live];
        for (const app of [0, 1, 2, 3]) {
          const own = all.map((one, n) => ({ ...one, word: `w${n + 1}` })).filter(one => one.app === app);
          const first = own.findIndex(one => one.bad !== 'none');
          const applied = first < 0 ? own : own.slice(0, first);
          assert.equal(await trailOf(sql, `app${app}`), applied.at(-1)?.word);
        }
        isFixed = true;
        const asked = await replay(store);
        await noLetters(sql);
        await reached(sql, name, asked);
        assert.deepEqual(await liveDigests(sql, projection), await soundDigests(store, asked, shares));
        assert.deepEqual(running.errors, []);
      } finally {
        await running.stop();
        await away();
      }
    });
    await fc.assert(property, { numRuns: runs, endOnFailure: true });
  });
});
