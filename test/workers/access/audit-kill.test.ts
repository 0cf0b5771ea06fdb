/** A process that is killed between signing a checkpoint and handing it over loses none: the next one hands over what is left. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { openSegmentStorage } from '../../../eventstore/embedded/segment-storage.ts';
import { startLogServer } from '../../../eventstore/embedded/server.ts';
import { openLog } from '../../../eventstore/esdb.ts';
import { openLogger } from '../../../platform/log.ts';
import { readCheckpoints } from '../../../platform/proof/checkpoint-file.ts';
import { treeReader } from '../../../platform/proof/tree-reader.ts';
import { projections } from '../../../projections/index.ts';
import { project } from '../../../projections/projector.ts';
import { createWorkerTables } from '../../../workers/tables.ts';
import { newEvent } from '../../contract/eventstore.ts';
import { testDatabase } from '../../support/postgres.ts';
import { eventually } from '../../support/workers.ts';

const entry = path.resolve(import.meta.dirname, '../../../cli/apphub.js');
/** Nothing waits for ever, not even for a death. */
const diesMsMax = 60_000;
/** Each is another start of the workers, so `all` is asked for by name. */
const faults =
  process.env.APPHUB_TEST_FAULTS === 'all'
    ? ['audit.checkpoint-signed', 'audit.checkpoint-written', 'audit.witness-handed']
    : ['audit.checkpoint-written'];

test('killed at each place between signing and handing over, the witness has every checkpoint once', async () => {
  const root = mkdtempSync(path.join(os.tmpdir(), 'apphub-test-audit-kill-'));
  const [directory, dataDir, witness] = ['log', 'data', 'witness'].map(name => path.join(root, name)) as [
    string,
    string,
    string,
  ];
  for (const folder of [dataDir, witness]) mkdirSync(folder);
  const log = openLogger({ level: 'silent' });
  const storage = await openSegmentStorage({ directory, durability: 'none', log });
  const server = await startLogServer({ storage, port: 0, log });
  const url = `esdb://127.0.0.1:${server.port}?tls=false`;
  const events = openLog(url);
  const { sql, connectionString, drop } = await testDatabase();
  const stop = new AbortController();
  const quiet = { info: () => undefined, warn: () => undefined, error: () => undefined };
  await createWorkerTables(sql);
  const projecting = project(sql, events.store, projections, { signal: stop.signal, log: quiet });
  const start = (fault?: string) =>
    spawn(process.execPath, [entry, 'start', '--rooms=workers'], {
      env: {
        PATH: process.env.PATH ?? '',
        DATABASE_URL: connectionString,
        EVENTSTORE_URL: url,
        APPHUB_DATA_DIR: dataDir,
        APPHUB_AUDIT_CHECKPOINT_EVENTS: '1',
        APPHUB_AUDIT_WITNESSES: JSON.stringify({ archive: { file: witness } }),
        LOG_LEVEL: 'fatal',
        ...(fault === undefined ? {} : { APPHUB_FAULT: fault }),
      },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
  const children: ReturnType<typeof start>[] = [];
  after(async () => {
    for (const child of children) if (child.exitCode === null) child.kill('SIGKILL');
    stop.abort();
    await projecting;
    await events.close();
    await server.close();
    await storage.close();
    await drop();
    rmSync(root, { recursive: true, force: true });
  });
  const append = (n: number) => events.store.append(`apps.build-${n}`, [newEvent({ n })], 'none');
  for (const [n, fault] of faults.entries()) {
    await append(n);
    const child = start(fault);
    children.push(child);
    const [, signal] = await once(child, 'exit', { signal: AbortSignal.timeout(diesMsMax) });
    assert.equal(signal, 'SIGKILL', fault);
  }
  const last = start();
  children.push(last);
  await append(faults.length);
  await eventually(async () => {
    const sizes: number[] = await sql('audit_checkpoints').orderBy('size').pluck('size');
    const state = await treeReader(sql).state();
    assert.ok(sizes.length > faults.length - 1);
    assert.equal(sizes.at(-1), state?.size);
    assert.deepEqual(
      [...readCheckpoints(witness)].flat().map(({ size }) => size),
      sizes,
    );
  });
  const state = await treeReader(sql).state();
  for (const { size, root: signed } of [...readCheckpoints(witness)].flat())
    assert.deepEqual(await treeReader(sql).root(state as NonNullable<typeof state>, size), signed);
  const ended = once(last, 'exit');
  last.kill('SIGTERM');
  await ended;
});
