/** The tour of the README, by the command line alone, against the real product. */
import assert from 'node:assert/strict';
import { runE2E } from '../support/e2e.ts';
import { startStack } from '../support/stack.ts';

runE2E('a repository is added, found, built, run and stopped from the command line', async e2e => {
  const { hub, gitUrl } = await startStack(e2e);
  const run = async (...args: string[]) => {
    const ended = await hub.cli(...args);
    assert.equal(ended.code, 0, `apphub ${args.join(' ')}: ${ended.stderr}${ended.stdout}`);
    return ended.stdout;
  };
  const watched = await run(
    'apps',
    'add',
    `${gitUrl}/node-app.git`,
    '--id',
    'counter',
    '--tag',
    'kind:demo',
    '--watch',
  );
  assert.match(watched, /queued[\s\S]*cloning and inspecting[\s\S]*ready at [0-9a-f]{12} of main/);

  const builds = await e2e.eventually(async () => {
    const listed = JSON.parse(await run('builds', 'list', 'counter', '--json')).data as { id: string }[];
    assert.equal(listed.length, 1);
    return listed;
  });
  const followed = await run('builds', 'logs', '-f', builds[0]?.id ?? '');
  assert.match(followed, /Step 1\/\d+ : FROM[\s\S]*Successfully built/);
  assert.match(await run('builds', 'list', 'counter'), /succeeded/);
  assert.match(await run('apps', 'search', 'kind:demo', 'cou'), /counter/);
  assert.doesNotMatch(await run('apps', 'search', 'kind:demo', 'nothing'), /counter/);
  assert.match(await run('apps', 'show', 'counter'), /express/);

  const launched = await run('launches', 'start', 'counter', '--watch', '-e', 'GREETING=hi');
  const url = /http:\/\/([0-9a-f-]{36})\.localhost:\d+\//.exec(launched);
  assert.ok(url !== null, launched);
  assert.equal((await hub.visit(url[0])).status, 401);
  const id = url[1] ?? '';
  const opened = (await run('launches', 'open', '--print', id)).trim();
  assert.match((await hub.visit(opened)).body, /Hello from the counter/);
  const link = (await run('launches', 'share', id, '--ttl', '10m')).split('\n')[0] ?? '';
  assert.match((await hub.visit(link)).body, /Hello from the counter/);
  await run('launches', 'revoke-links', id);
  for (const ended of [opened, link])
    await e2e.eventually(async () => assert.equal((await hub.visit(ended)).status, 401));
  await e2e.eventually(async () => {
    assert.match(await run('launches', 'logs', url[1] ?? ''), /listening on 3000/);
  });
  await run('launches', 'stop', url[1] ?? '');
  await e2e.eventually(async () => assert.match(await run('launches', 'show', url[1] ?? ''), /stopped/));

  const tail = await run('log', 'tail', '--from', 'start', '--types', 'Build*', '--limit', '3', '--json');
  const types = tail
    .trim()
    .split('\n')
    .map(line => JSON.parse(line).type);
  assert.deepEqual(types, ['BuildRequested', 'BuildStarted', 'BuildSucceeded']);

  const again = await hub.cli('apps', 'add', `${gitUrl}/node-app.git`, '--id', 'counter');
  assert.equal(again.code, 6, again.stderr);
  const missing = await hub.cli('apps', 'show', 'nobody');
  assert.equal(missing.code, 5, missing.stderr);
  await run('apps', 'retry', 'counter', '--watch');
});
