/** A projector in the background, for tests of what it makes of a log. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import type { Knex } from 'knex';
import type { PlatformEvent } from '../../domain/events.ts';
import { memoryStore } from '../../eventstore/memory.ts';
import type { EventStore } from '../../eventstore/store.ts';
import { digestsOf } from '../../projections/digest.ts';
import type { Projection } from '../../projections/projection.ts';
import { project } from '../../projections/projector.ts';
import { testDatabase } from './postgres.ts';

const waitMsMax = 30_000;
const timeout = 120_000;
/** Often, so that no test waits for it. */
const lookMs = 10;

/** `stop` resolves when it has ended. `errors` holds what it could not do. */
export function startProjector(sql: Knex, store: EventStore, projections: readonly Projection[]) {
  const aborter = new AbortController();
  const errors: unknown[] = [];
  const log = { info: () => undefined, error: (detail: object) => void errors.push(detail) };
  const running = project(sql, store, projections, { signal: aborter.signal, log, lookMs });
  return {
    errors,
    async stop() {
      aborter.abort();
      await running;
    },
  };
}

export async function until<T>(what: string, met: () => Promise<T | false | undefined>): Promise<T> {
  const giveUp = Date.now() + waitMsMax;
  for (;;) {
    const found = await met();
    if (found !== false && found !== undefined) return found;
    assert.ok(Date.now() < giveUp, `waited too long for ${what}`);
    await new Promise(resolve => setTimeout(resolve, 5));
  }
}

/** Appends to the end of a stream, whatever it holds. Answers the position. */
export async function write(store: EventStore, stream: string, event: PlatformEvent): Promise<bigint> {
  const cause = randomUUID();
  const metadata = {
    actor: 'tester',
    correlationId: cause,
    causationId: cause,
    time: new Date().toISOString(),
  };
  const { revision } = await store.load(stream);
  const { position } = await store.append(
    stream,
    [{ ...event, id: randomUUID(), metadata } as never],
    revision,
  );
  return position;
}

export const reached = (sql: Knex, name: string, position: bigint): Promise<unknown> =>
  until(`${name} at ${position}`, async () => {
    const row = await sql('projection_checkpoints')
      .where({ name })
      .first('position')
      .catch(() => undefined);
    return row !== undefined && Number(row.position ?? -1) >= Number(position);
  });

/** Of the generation that is shown. */
export async function liveDigests(sql: Knex, projection: Projection): Promise<object> {
  const { name } = projection;
  const { generation } = await sql('projection_checkpoints').where({ name }).first('generation');
  return sql.transaction(tx => digestsOf(tx, projection, generation));
}

/** Runs a test with a database and a log of its own, and ends what it has started also where it fails. */
export function checkProjector(
  title: string,
  body: (given: {
    sql: Knex;
    store: ReturnType<typeof memoryStore>;
    start(...projections: readonly Projection[]): ReturnType<typeof startProjector>;
  }) => Promise<void>,
): void {
  test(title, { timeout }, async () => {
    const { sql, drop } = await testDatabase();
    const store = memoryStore();
    const started: ReturnType<typeof startProjector>[] = [];
    const start = (...projections: readonly Projection[]) => {
      const one = startProjector(sql, store, projections);
      started.push(one);
      return one;
    };
    try {
      await body({ sql, store, start });
    } finally {
      for (const { stop } of started) await stop();
      await drop();
    }
  });
}
