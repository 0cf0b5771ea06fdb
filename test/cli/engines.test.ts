/** The engines by the command line, asked of the real API. */
import assert from 'node:assert/strict';
import { after, suite, test } from 'node:test';
import { createWorkerTables, reportEngines } from '../../workers/tables.ts';
import { operatorToken, startApi } from '../support/api.ts';
import { engineState } from '../support/engine-state.ts';
import { runCli } from '../support/run-cli.ts';

suite('apphub engines', async () => {
  const api = await startApi();
  after(() => api.close());
  const run = (...args: string[]) => runCli(args, { APPHUB_URL: api.url, APPHUB_TOKEN: operatorToken });

  test('nobody has reported any', async () => {
    const { code, stderr } = await run('engines');
    assert.equal(code, 0);
    assert.match(stderr, /workers have not reported any engine/);
  });

  test('what is promised on each, and which is away and why', async () => {
    await createWorkerTables(api.sql);
    const west = engineState('west', {
      kind: 'swarm',
      labels: { zone: 'west', disk: 'ssd' },
      builds: false,
      awayReason: 'Nothing answers at tcp://10.0.0.5:2376',
      awaySince: new Date(Date.now() - 65_000).toISOString(),
      cpus: null,
      memoryBytes: null,
      launchesMax: 9,
    });
    await reportEngines(api.sql, [engineState('old')]);
    await reportEngines(api.sql, [engineState('east'), west]);
    const { code, stdout, stderr } = await run('engines', 'list');
    assert.equal(code, 0, stderr);
    const [head, east, other, why] = stdout.split('\n');
    assert.match(head ?? '', /^ENGINE +STATE +CPU +MEMORY +LAUNCHES +BUILDS +LABELS/);
    assert.match(east ?? '', /^east +there +1\.5 of 4 +3\.\d GB of 8\.\d GB +4 +yes/);
    assert.match(
      other ?? '',
      /^west \(swarm\) +went away .*1\.5 of \? .* of \? +4 of 9 +no +disk=ssd, zone=west/,
    );
    assert.equal(why, 'west: Nothing answers at tcp://10.0.0.5:2376');
    const { data } = JSON.parse((await run('engines', '--json')).stdout);
    assert.deepEqual(data, [engineState('east'), west]);
  });

  test('is not for everybody', async () => {
    assert.equal((await api.ask('GET', '/engines', { token: null })).status, 401);
  });
});
