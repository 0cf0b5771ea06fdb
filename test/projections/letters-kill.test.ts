/** The projector killed between two of its queries, in the midst of what it cannot apply: nothing is lost or done twice. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { after, suite, test } from 'node:test';
import { memoryStorage } from '../../eventstore/embedded/memory-storage.ts';
import { startLogServer } from '../../eventstore/embedded/server.ts';
import { openLog } from '../../eventstore/esdb.ts';
import { testDatabase } from '../support/postgres.ts';
import { liveDigests, reached, startProjector, write } from '../support/projector.ts';
import { tried, triedName } from '../support/tried-projection.ts';

const kills = Number(process.env.APPHUB_LETTER_KILLS ?? 1);
const child = path.resolve(import.meta.dirname, '../support/poisoned-child.ts');
const at = '2026-01-02T03:04:05.000Z';
const timeout = 20_000 * (kills + 2);

suite('a projector that is killed', { timeout }, async () => {
  const storage = memoryStorage();
  const server = await startLogServer({ storage, port: 0 });
  const url = `esdb://127.0.0.1:${server.port}?tls=false`;
  const { store, close } = openLog(url);
  after(async () => {
    await close();
    await server.close();
    await storage.close();
  });
  const words = ['one', 'two', 'throw', 'three', 'refuse', 'four', 'five', 'six', 'refuse', 'seven'];
  let to = 0n;
  for (let n = 0; n < 40; n += 1) {
    const appId = `app${n % 6}`;
    const data = { appId, changes: { name: `${words[n % words.length]}${n}` }, at };
    to = await write(store, `apps.repository-${appId}`, { type: 'RepositoryChanged', data } as never);
  }
  const projection = tried({ of: () => 'none' }, { shares: true });

  const run = async (database: string, mended: 'yes' | 'no', killAt = 0) => {
    const args = [child, database, url, `${to}`, mended, `${killAt}`];
    const started = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let [out, err] = ['', ''];
    started.stdout.setEncoding('utf8').on('data', text => {
      out += text;
    });
    started.stderr.setEncoding('utf8').on('data', text => {
      err += text;
    });
    const late = setTimeout(() => started.kill('SIGKILL'), 15_000);
    const [code, signal] = await once(started, 'close');
    clearTimeout(late);
    return { queries: Number(out), code, signal, err };
  };
  const whole = async (database: string, mended: 'yes' | 'no') => {
    const { code, queries, err } = await run(database, mended);
    assert.equal(code, 0, err);
    return queries;
  };

  test(`at ${kills} places of each half: the rows are those of a log without faults`, {
    timeout,
  }, async () => {
    const first = await testDatabase();
    const running = startProjector(first.sql, store, [projection]);
    await reached(first.sql, triedName, to);
    await running.stop();
    const sound = await liveDigests(first.sql, projection);
    await first.drop();

    const model = await testDatabase();
    const before = await whole(model.connectionString, 'no');
    const waiting = await model
      .sql('projection_letters')
      .orderBy('stream')
      .select('stream', 'position', 'waiting');
    assert.ok(waiting.length >= 3, JSON.stringify(waiting));
    const stopped = await liveDigests(model.sql, projection);
    const later = await whole(model.connectionString, 'yes');
    assert.deepEqual(await liveDigests(model.sql, projection), sound);
    await model.drop();

    for (let n = 1; n <= kills; n += 1) {
      const { sql, connectionString, drop } = await testDatabase();
      await run(connectionString, 'no', Math.ceil((before * n) / (kills + 1)));
      await whole(connectionString, 'no');
      const place = `killed at ${n} of ${kills}`;
      const found = await sql('projection_letters').orderBy('stream').select('stream', 'position', 'waiting');
      assert.deepEqual(found, waiting, place);
      assert.deepEqual(await liveDigests(sql, projection), stopped, place);
      await run(connectionString, 'yes', Math.ceil((later * n) / (kills + 1)));
      await whole(connectionString, 'yes');
      assert.deepEqual(await liveDigests(sql, projection), sound, place);
      await drop();
    }
  });
});
