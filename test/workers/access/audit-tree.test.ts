/** The worker that keeps the tree: what it signs, what it says of a log that was changed, and how it goes on after anything. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, suite, test } from 'node:test';
import { systemClock } from '../../../commands/clock.ts';
import { execute } from '../../../commands/execute.ts';
import { auditTree, auditTreeId } from '../../../domain/access/audit-tree.ts';
import { memoryStore } from '../../../eventstore/memory.ts';
import type { EventStore, StoredEvent, StoredLog } from '../../../eventstore/store.ts';
import { listenTo } from '../../../platform/listen.ts';
import { chainAfter, chainStart, parseCheckpoint } from '../../../platform/proof/checkpoint.ts';
import { readCheckpoints } from '../../../platform/proof/checkpoint-file.ts';
import { readKeyChange } from '../../../platform/proof/key-change.ts';
import { leafOf } from '../../../platform/proof/leaf.ts';
import { hashLeaf, openEdge, provesConsistency, provesInclusion } from '../../../platform/proof/merkle.ts';
import { readVerifier, verifyNote } from '../../../platform/proof/note.ts';
import { treeReader } from '../../../platform/proof/tree-reader.ts';
import { wantedChannel } from '../../../platform/proof/tree-tables.ts';
import { keepAuditTree } from '../../../workers/access/audit-tree.ts';
import { createWorkerTables } from '../../../workers/tables.ts';
import { newEvent } from '../../contract/eventstore.ts';
import { testDatabase } from '../../support/postgres.ts';
import { eventually } from '../../support/workers.ts';

const closings: (() => Promise<unknown> | unknown)[] = [];
after(async () => {
  for (const closing of closings.reverse()) await closing();
});

type Log = EventStore & StoredLog;

async function setUp(store: Log = memoryStore()) {
  const database = await testDatabase();
  const { sql, connectionString } = database;
  await createWorkerTables(sql);
  const folder = mkdtempSync(path.join(os.tmpdir(), 'apphub-test-audit-'));
  const logged: string[] = [];
  const note = (detail: object) =>
    void logged.push(String('err' in detail ? detail.err : JSON.stringify(detail)));
  const log = { info: () => undefined, warn: note, error: note };
  closings.push(
    () => database.drop(),
    () => rmSync(folder, { recursive: true, force: true }),
  );
  const start = (
    more: { stored?: StoredLog; checkpointEvents?: number; checkpointSeconds?: number } = {},
  ) => {
    const stop = new AbortController();
    let published = 0;
    const running = keepAuditTree({
      sql,
      store,
      stored: store,
      clock: systemClock,
      folder,
      origin: 'apphub.example/audit',
      checkpointEvents: 1,
      checkpointSeconds: 3_600,
      listen: (channel, onHeard) => listenTo(connectionString, channel, onHeard),
      onPublished: () => {
        published += 1;
      },
      log,
      signal: stop.signal,
      ...more,
    });
    const end = async () => {
      stop.abort();
      await running;
    };
    closings.push(end);
    return { end, published: () => published };
  };
  const append = async (count: number, stream = `apps.build-${Math.random()}`) => {
    await store.append(
      stream,
      Array.from({ length: count }, (_, n) => newEvent({ n })),
      'none',
    );
  };
  const treeIs = async (size: number) =>
    eventually(async () => {
      const state = await treeReader(sql).state();
      assert.equal(state?.size, size, logged.join('\n'));
      return state;
    }, 20_000);
  const last = async () => {
    const row = await sql('audit_checkpoints').orderBy('at', 'desc').orderBy('size', 'desc').first('note');
    return row === undefined ? undefined : parseCheckpoint(row.note);
  };
  const signedIs = (size: number) =>
    eventually(async () => {
      const found = await last();
      assert.equal(found?.size, size, logged.join('\n'));
      return found;
    });
  const state = async () => {
    const { events } = await store.load('access.audit-tree-main');
    return events.map(({ type }) => type);
  };
  return { sql, store, folder, logged, start, append, treeIs, signedIs, last, state };
}

async function everything(log: StoredLog): Promise<readonly StoredEvent[]> {
  const stop = new AbortController();
  const events: StoredEvent[] = [];
  for await (const batch of log.follow({ from: 'start', signal: stop.signal })) {
    events.push(...batch.events);
    if (batch.caughtUp) break;
  }
  stop.abort();
  return events;
}

/** What the tree over these events has to be, made from the definitions alone. */
function treeOf(events: readonly StoredEvent[]) {
  const edge = openEdge();
  let chain: Buffer = chainStart;
  const hashes = events.map(event => hashLeaf(Buffer.from(leafOf(event))));
  for (const hash of hashes) {
    edge.push(hash);
    chain = chainAfter(chain, hash);
  }
  return { root: edge.root(), chain, hashes };
}

suite('the audit tree is kept', () => {
  test('over every event of the log, from the first, and is signed with a key the log knows', async () => {
    const { append, start, signedIs, store, sql, folder } = await setUp();
    await append(3);
    await store.append('idempotency-k', [newEvent()], 'none');
    start();
    const signed = await signedIs(5);
    const events = await everything(store);
    const { root, chain } = treeOf(events);
    assert.deepEqual([signed.root, signed.chain, signed.position], [root, chain, events.at(-1)?.position]);
    const [begun] = (await store.load('access.audit-tree-main')).events as never as {
      data: { origin: string; key: string };
    }[];
    assert.ok(begun !== undefined);
    const { origin, key } = begun.data;
    assert.equal(signed.origin, origin);
    assert.equal(verifyNote(signed.parsed, [readVerifier(key)]).length, 1);
    assert.deepEqual(
      [...readCheckpoints(folder)].flat().map(({ note }) => note),
      await sql('audit_checkpoints').pluck('note'),
    );
  });

  test('and proves each event and each earlier self, also behind many tiles and after a restart', async () => {
    const { append, start, signedIs, treeIs, store, sql } = await setUp();
    let { end } = start();
    await signedIs(1);
    for (const count of [254, 1, 1, 300, 700]) {
      await append(count);
      await end();
      ({ end } = start());
    }
    const size = 1_257;
    const state = await treeIs(size);
    const events = await everything(store);
    const { root, hashes } = treeOf(events);
    const reader = treeReader(sql);
    assert.deepEqual(await reader.root(state, size), root);
    const picked = [0, 1, 254, 255, 256, 257, 511, 512, 1_023, 1_024, 1_256];
    const proofs = await reader.inclusion(state, picked, size);
    for (const [n, index] of picked.entries()) {
      const event = events[index] as StoredEvent;
      assert.ok(
        provesInclusion(proofs[n]?.proof ?? [], { leafHash: hashes[index] as Buffer, index, size, root }),
      );
      assert.equal(await reader.indexOf(state, event.position), index);
      assert.equal(await reader.indexOfId(state, event.id), index);
      assert.equal(await reader.positionOf(state, index), event.position);
      assert.deepEqual(await reader.leafHash(state, index), hashes[index]);
      const first = { size: index, root: treeOf(events.slice(0, index)).root };
      assert.ok(provesConsistency(await reader.consistency(state, index, size), first, { size, root }));
    }
    assert.equal(await reader.indexOf(state, 99_999n), undefined);
    assert.equal(await reader.indexFrom(state, 0n), 0);
    assert.equal(await reader.indexFrom(state, 99_999n), size);
  });

  test('with a checkpoint after so many events, or after a while; a head at once for whoever wants one', async () => {
    const { append, start, treeIs, last, sql } = await setUp();
    const { published } = start({ checkpointEvents: 10 });
    // The first one is due at once: nothing was ever signed.
    await eventually(async () => assert.equal((await last())?.size, 1));
    await append(5);
    await treeIs(6);
    assert.equal((await last())?.size, 1);
    await sql.raw('select pg_notify(?, ?)', [wantedChannel, '']);
    await eventually(async () => assert.equal((await sql('audit_heads').first('size'))?.size, 6));
    assert.equal((await last())?.size, 1);
    await append(6);
    await eventually(async () => assert.equal((await last())?.size, 12));
    assert.equal(published(), 2);
  });
});

suite('the key of the tree', () => {
  test('changes when asked; the one before signs the change', async () => {
    const { append, start, signedIs, store, folder, sql, state } = await setUp();
    start();
    await signedIs(1);
    await request(store, 'RequestAuditKeyRotation');
    await eventually(async () => assert.equal((await state()).at(-1), 'AuditKeyRotated'));
    await append(2);
    const signed = await signedIs(5);
    const [begun, , rotated] = (await store.load('access.audit-tree-main')).events as never as {
      data: { key: string; from: string; to: string; statement: string };
    }[];
    assert.ok(begun !== undefined && rotated !== undefined);
    const { from, to } = readKeyChange(rotated.data.statement);
    assert.deepEqual([from.vkey, to.vkey], [begun.data.key, rotated.data.to]);
    assert.equal(verifyNote(signed.parsed, [to]).length, 1);
    assert.equal(verifyNote(signed.parsed, [from]).length, 0);
    assert.ok(folder && sql);
  });

  test('that is not here signs nothing, until the tree begins again and says why', async () => {
    const { append, start, signedIs, treeIs, store, folder, state, sql } = await setUp();
    const { end } = start();
    await signedIs(1);
    await end();
    rmSync(path.join(folder, 'key'));
    start();
    await append(4);
    await treeIs(5);
    assert.equal((await sql('worker_status').where({ name: 'audit' }).first('ok'))?.ok, false);
    await execute(
      store,
      auditTree,
      auditTreeId,
      {
        type: 'RequestAuditTreeRestart',
        data: { treeId: auditTreeId, at: systemClock.now(), because: 'lost' },
      },
      newEvent().metadata,
    );
    await eventually(async () => assert.equal((await state()).at(-1), 'AuditTreeBegun'));
    const signed = await signedIs(7);
    assert.equal(signed.origin, 'apphub.example/audit/2');
    assert.deepEqual(signed.root, treeOf(await everything(store)).root);
  });
});

async function request(store: EventStore, type: 'RequestAuditKeyRotation' | 'RequestAuditTreeRebuild') {
  const data = { treeId: auditTreeId, at: systemClock.now() };
  await execute(store, auditTree, auditTreeId, { type, data }, newEvent().metadata);
}

/** The same log as its owner would like it to have been. */
function altered(log: Log, change: (event: StoredEvent) => StoredEvent | undefined): StoredLog {
  return {
    at: log.at,
    async *follow(options) {
      for await (const batch of log.follow(options))
        yield { ...batch, events: batch.events.map(change).filter(event => event !== undefined) };
    },
  };
}

suite('a tree made again from the log', () => {
  test('is the same, and takes the place of the one before', async () => {
    const { append, start, signedIs, treeIs, store, state, sql } = await setUp();
    start();
    await append(600);
    const { root } = await signedIs(601);
    // As a disk would damage it: what was signed shows it, and nothing is signed meanwhile.
    const before = (await treeReader(sql).state())?.generation;
    await sql('audit_tiles')
      .where({ level: 0, at: 0 })
      .update({ hashes: Buffer.alloc(8_192) });
    await request(store, 'RequestAuditTreeRebuild');
    await eventually(async () => assert.equal((await state()).at(-1), 'AuditTreeRebuilt'));
    const rebuilt = await treeIs(603);
    assert.notEqual(rebuilt.generation, before);
    assert.deepEqual(await treeReader(sql).root(rebuilt, 601), root);
    assert.deepEqual(await sql('audit_trees').pluck('generation'), [rebuilt.generation]);
    assert.equal((await sql('audit_tiles').whereNot({ generation: rebuilt.generation })).length, 0);
    await append(1);
    await signedIs(604);
  });

  test('is found again from the files when the tables are lost, and goes on from what was signed', async () => {
    const { append, start, signedIs, sql, state } = await setUp();
    const { end } = start();
    await append(20);
    await signedIs(21);
    await end();
    await dropTables(sql);
    start();
    await signedIs(21);
    await append(1);
    await signedIs(22);
    assert.deepEqual(await state(), ['AuditTreeBegun']);
  });

  type Change = (event: StoredEvent) => StoredEvent | undefined;
  /** What is found, how many events came after the last that was signed, and how the log was changed. */
  const changes: Record<string, ['rewritten' | 'truncated', number, Change]> = {
    'with an event that was changed': [
      'rewritten',
      0,
      event => (event.position === 3n ? { ...event, data: { n: 99 } } : event),
    ],
    'with one event less among many': ['rewritten', 3, event => (event.position === 3n ? undefined : event)],
    'with one event less': ['truncated', 0, event => (event.position === 3n ? undefined : event)],
    'with all since then gone': ['truncated', 0, event => (event.position > 8n ? undefined : event)],
  };
  for (const [title, [kind, more, change]] of Object.entries(changes)) {
    test(`${title} is reported, and never signed`, async () => {
      const { append, start, signedIs, store, sql, last, state } = await setUp();
      const { end } = start();
      await append(1);
      await signedIs(2);
      await append(8);
      const { note } = await signedIs(10);
      await end();
      if (more > 0) await append(more);
      await dropTables(sql);
      start({ stored: altered(store, change) });
      await eventually(async () => assert.equal((await state()).at(-1), 'AuditTreeDiverged'));
      const diverged = (await store.load('access.audit-tree-main')).events.at(-1)?.data as never as {
        kind: string;
        size: number;
        soundSize: number;
      };
      assert.deepEqual([diverged.kind, diverged.size], [kind, 10]);
      assert.equal(diverged.soundSize, 2);
      await append(5, 'apps.build-later');
      await eventually(async () => assert.ok(((await treeReader(sql).state())?.size ?? 0) >= 8));
      assert.equal((await last())?.note, note);
      assert.deepEqual(await sql('audit_heads').pluck('note'), []);
    });
  }

  test('that is damaged in the tables is not gone on from', async () => {
    const { append, start, signedIs, sql, state, last } = await setUp();
    const { end } = start();
    await append(9);
    await signedIs(10);
    await end();
    await sql('audit_edge')
      .where({ leaf: 4 })
      .update({ hash: Buffer.alloc(32) });
    start();
    await eventually(async () => assert.equal((await state()).at(-1), 'AuditTreeDiverged'));
    await append(1);
    assert.equal((await last())?.size, 10);
  });
});

async function dropTables(sql: Awaited<ReturnType<typeof testDatabase>>['sql']) {
  const tables = ['trees', 'tiles', 'edge', 'ids', 'heads', 'checkpoints', 'cosignatures', 'witnesses'];
  for (const table of tables) await sql.schema.dropTable(`audit_${table}`);
}
