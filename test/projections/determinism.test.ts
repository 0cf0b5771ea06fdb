/**
 * A projection is a pure function of the log: folded in whatever pieces, with restarts in between, at another time and in another
 * time zone, its rows have one digest.
 */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { Recorded } from '../../domain/events.ts';
import { memoryStore } from '../../eventstore/memory.ts';
import { digestsOf } from '../../projections/digest.ts';
import { plan, storeWork } from '../../projections/follow.ts';
import { openGenerations } from '../../projections/generation.ts';
import { projections } from '../../projections/index.ts';
import { type Projection, put } from '../../projections/projection.ts';
import { prepare } from '../../projections/projector.ts';
import { openChance } from '../bench/support/chance.ts';
import { busyHistory } from '../support/busy.ts';
import { testDatabase } from '../support/postgres.ts';

const timeout = 300_000;
const eventCount = Number(process.env.DETERMINISM_EVENTS ?? 400);

type Way = {
  readonly name: string;
  /** How many events come next. */
  readonly size: () => number;
  /** After how many pieces everything is begun again from what is stored. */
  readonly restartAfter: number;
  readonly timeZone: string;
};

async function history(): Promise<readonly Recorded[]> {
  const store = memoryStore();
  const next = busyHistory(7);
  for (let n = 0; n < eventCount; n += 1) {
    const { stream, event } = next();
    await store.append(stream, [event], 'none');
  }
  const stop = new AbortController();
  const events: Recorded[] = [];
  const streamPrefixes = ['apps.', 'access.', 'platform.'];
  for await (const batch of store.subscribe({ from: 'start', streamPrefixes, signal: stop.signal })) {
    events.push(...batch.events);
    if (batch.caughtUp) break;
  }
  stop.abort();
  return events;
}

/** The digest of each table, of all projections. */
async function fold(
  events: readonly Recorded[],
  some: readonly Projection[],
  { size, restartAfter, timeZone }: Way,
): Promise<Record<string, string>> {
  const { sql, drop } = await testDatabase();
  try {
    const { rows } = await sql.raw('select current_database() as name');
    await sql.raw(`alter database ?? set timezone to '${timeZone}'`, [rows[0].name]);
    await prepare(sql);
    let followed = await openGenerations(sql, some);
    let pieces = 0;
    for (let from = 0; from < events.length; ) {
      const piece = events.slice(from, from + size());
      from += piece.length;
      const position = piece.at(-1)?.position ?? null;
      await storeWork(sql, plan(followed, { events: piece, position, caughtUp: false }));
      pieces += 1;
      if (pieces % restartAfter === 0) followed = await openGenerations(sql, some);
    }
    const found: Record<string, string> = {};
    for (const projection of some)
      Object.assign(found, await sql.transaction(tx => digestsOf(tx, projection, 1)));
    return found;
  } finally {
    await drop();
  }
}

const chance = openChance(11);
const ways: readonly Way[] = [
  { name: 'all at once', size: () => eventCount, restartAfter: 1_000, timeZone: 'UTC' },
  { name: 'one by one', size: () => 1, restartAfter: 37, timeZone: 'Asia/Tokyo' },
  {
    name: 'in pieces of chance',
    size: () => 1 + chance.below(30),
    restartAfter: 3,
    timeZone: 'America/New_York',
  },
  { name: 'in large pieces', size: () => 150, restartAfter: 1, timeZone: 'UTC' },
];

suite('every projection', async () => {
  const events = await history();
  const [first, ...others] = ways as [Way, ...Way[]];
  const wanted = await fold(events, projections, first);

  test('has rows in most of its tables', () => {
    const filled = Object.values(wanted).filter(digest => !digest.startsWith('0-')).length;
    assert.ok(filled > (Object.keys(wanted).length * 2) / 3, `${filled} of ${Object.keys(wanted).length}`);
  });

  for (const way of others) {
    test(`has the same digest folded ${way.name}, in ${way.timeZone}`, { timeout }, async () => {
      assert.deepEqual(await fold(events, projections, way), wanted);
    });
  }

  test('one that asks the clock would not', { timeout }, async () => {
    const clocked: Projection = {
      name: 'clocked',
      version: 1,
      tables: { clocked: ['id'] },
      createTables: schema =>
        schema.createTable('clocked', t => {
          t.text('id').primary();
          t.text('seen_at').notNullable();
        }),
      on: {
        RepositoryRegistered: ({ data }) => [
          put('clocked', { id: data.appId, seen_at: `${performance.now()}` }),
        ],
      },
    };
    const [one, other] = [await fold(events, [clocked], first), await fold(events, [clocked], first)];
    assert.notDeepEqual(one, other);
  });
});
