/** A stream that has stopped in the past goes on there too, once its dead letter is applied or skipped. */
import assert from 'node:assert/strict';
import { suite } from 'node:test';
import type { Knex } from 'knex';
import type { Recorded } from '../../domain/events.ts';
import type { EventStore } from '../../eventstore/store.ts';
import { keepPast } from '../../projections/past.ts';
import { asOfSchema } from '../../projections/past-tables.ts';
import type { Projection } from '../../projections/projection.ts';
import { checkProjector, reached, until, write } from '../support/projector.ts';
import { type Fault, tried, triedName } from '../support/tried-projection.ts';

const at = '2026-01-02T03:04:05.000Z';
const change = (store: EventStore, appId: string, word: string) =>
  write(store, `apps.repository-${appId}`, {
    type: 'RepositoryChanged',
    data: { appId, changes: { name: word }, at },
  } as never);
const ask = (store: EventStore, type: string, position: bigint, more: object = {}) =>
  write(store, `platform.dead-letter-${triedName}`, {
    type,
    data: { projection: triedName, position: `${position}`, at, ...more },
  } as never);

function keeping(sql: Knex, store: EventStore, projection: Projection) {
  const stop = new AbortController();
  const log = { error: () => undefined };
  const running = keepPast(sql, store, [projection], { signal: stop.signal, log, lookMs: 10 });
  return () => {
    stop.abort();
    return running;
  };
}

const pastReached = (sql: Knex, position: bigint) =>
  until(`the past at ${position}`, async () => {
    const row = await sql('past_checkpoints')
      .first(sql.raw('position::text as position'))
      .catch(() => undefined);
    return BigInt(row?.position ?? -1) >= position;
  });

/** What the row of an app said at a position; undefined while there was none. */
async function trailAt(sql: Knex, position: bigint, id: string): Promise<string | undefined> {
  return sql.transaction(async tx => {
    await tx.raw(
      `select set_config('apphub.as_of', ?, true), set_config('apphub.as_of_until', 'infinity', true)`,
      [String(position)],
    );
    return (await tx(`${asOfSchema}.${triedName}`).where({ id }).first('trail'))?.trail;
  });
}

suite('the past of a stream with a dead letter', () => {
  for (const fault of ['throws', 'refused'] as const) {
    checkProjector(`(${fault}) is whole once that is applied`, async ({ sql, store, start }) => {
      let isFixed = false;
      const isBad = ({ data }: Recorded) => 'changes' in data && JSON.stringify(data.changes).includes('bad');
      const projection = tried({ of: event => (!isFixed && isBad(event) ? fault : 'none') });
      const first = await change(store, 'a', 'one');
      const poison = await change(store, 'a', 'bad');
      const after = await change(store, 'a', 'after');
      const last = await change(store, 'b', 'other');
      const running = start(projection);
      const end = keeping(sql, store, projection);
      await reached(sql, triedName, last);
      await pastReached(sql, last);
      assert.deepEqual([await trailAt(sql, last, 'a'), await trailAt(sql, last, 'b')], ['one', 'other']);
      isFixed = true;
      const asked = await ask(store, 'DeadLetterReplayRequested', poison);
      await until('the past to be mended', async () => (await trailAt(sql, last, 'a')) === 'after');
      await pastReached(sql, asked);
      const trails = await Promise.all([first, poison, after, last].map(to => trailAt(sql, to, 'a')));
      assert.deepEqual(trails, ['one', 'bad', 'after', 'after']);
      assert.equal(await trailAt(sql, last, 'b'), 'other');
      await end();
      await running.stop();
    });
  }

  checkProjector('leaves out what is skipped, and nothing else', async ({ sql, store, start }) => {
    const isBad = ({ data }: Recorded) => 'changes' in data && JSON.stringify(data.changes).includes('bad');
    const projection = tried({ of: event => (isBad(event) ? 'throws' : 'none') });
    await change(store, 'a', 'one');
    const poison = await change(store, 'a', 'bad');
    const after = await change(store, 'a', 'after');
    const running = start(projection);
    const end = keeping(sql, store, projection);
    await reached(sql, triedName, after);
    await pastReached(sql, after);
    assert.equal(await trailAt(sql, after, 'a'), 'one');
    await ask(store, 'DeadLetterSkipped', poison, { reason: 'It says nothing.' });
    await until('the past to be mended', async () => (await trailAt(sql, after, 'a')) === 'after');
    assert.equal(await trailAt(sql, poison, 'a'), 'one');
    await end();
    await running.stop();
  });

  checkProjector(
    'which only the past cannot take is tried once more, and stays',
    async ({ sql, store, start }) => {
      let tries = 0;
      const bad: { of(event: Recorded): Fault } = {
        of: ({ data }) => {
          const isBad = 'changes' in data && JSON.stringify(data.changes).includes('bad');
          if (isBad) tries += 1;
          return isBad ? 'throws' : 'none';
        },
      };
      await change(store, 'a', 'one');
      await change(store, 'a', 'bad');
      const last = await change(store, 'b', 'other');
      const running = start(tried({ of: () => 'none' }));
      await reached(sql, triedName, last);
      const end = keeping(sql, store, tried(bad));
      const isTried = async () => {
        const row = await sql('past_stopped').first('is_stopped', 'was_mended');
        return row?.is_stopped === true && row.was_mended === true;
      };
      await until('another try', () => isTried().catch(() => false));
      const triesBefore = tries;
      const live = await change(store, 'b', 'live');
      await pastReached(sql, live);
      await end();
      assert.equal(tries, triesBefore);
      assert.deepEqual([await trailAt(sql, live, 'a'), await trailAt(sql, live, 'b')], ['one', 'live']);
      await running.stop();
    },
  );
});
