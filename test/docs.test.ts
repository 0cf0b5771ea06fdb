/** The printed pages say what the code says, and the written ones name only files that are there. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { suite, test } from 'node:test';
import { refusals } from '../domain/kernel/refusal.ts';
import { edgeCodes } from '../platform/problem-codes.ts';
import { printDocs } from './support/docs.ts';
import { eventMeanings } from './support/event-meanings.ts';

const root = path.join(import.meta.dirname, '..');

suite('printed pages', async () => {
  const printed = await printDocs();

  for (const [file, text] of Object.entries(printed)) {
    test(`${file} is what npm run docs prints`, async () => {
      const present = await readFile(path.join(root, file), 'utf8').catch(() => '');
      assert.ok(present === text, `${file} is old: run npm run docs`);
    });
  }

  test('name every event, every code and every route', () => {
    const events = printed['docs/events.md'] ?? '';
    for (const type of Object.keys(eventMeanings)) assert.ok(events.includes(`| \`${type}\` | `), type);
    const errors = printed['docs/errors.md'] ?? '';
    for (const code of Object.keys({ ...refusals, ...edgeCodes }))
      assert.ok(errors.includes(`| \`${code}\` |`), code);
    const { openapi, paths } = JSON.parse(printed['docs/openapi.json'] ?? '') as {
      openapi: string;
      paths: object;
    };
    assert.equal(openapi, '3.1.0');
    for (const route of ['/apps', '/apps/{appId}', '/builds/{buildId}']) assert.ok(route in paths, route);
    assert.ok(Object.keys(paths).length > 15, `only ${Object.keys(paths).length} routes`);
  });
});

test('every code a problem is made with is on the page of errors', async () => {
  const known = new Set(Object.keys({ ...refusals, ...edgeCodes }));
  let seen = 0;
  for (const room of ['commands', 'read-api', 'platform', 'workers']) {
    for (const file of await readdir(path.join(root, room), { recursive: true })) {
      if (!file.endsWith('.ts')) continue;
      const source = await readFile(path.join(root, room, file), 'utf8');
      for (const [, code = ''] of source.matchAll(/new Problem\(\s*\d+,\s*'([^']+)'/g)) {
        seen += 1;
        assert.ok(known.has(code), `${room}/${file}: ${code} is not in platform/problem-codes.ts`);
      }
    }
  }
  assert.ok(seen > 5, `only ${seen} found`);
});

test('every setting that is read is on the page of settings, and none that is not', async () => {
  const sources = await Promise.all(
    [
      'platform/config.ts',
      'platform/audit-config.ts',
      'platform/audit-witness-config.ts',
      'platform/build-config.ts',
      'platform/sandbox-config.ts',
      'platform/storage-config.ts',
      'platform/usage-config.ts',
      'platform/workspace-config.ts',
      'platform/engines-config.ts',
      'cli/doors.ts',
      'cli/locate.ts',
      'cli/log-serve.ts',
    ].map(file => readFile(path.join(root, file), 'utf8')),
  );
  const read = sources.flatMap(source =>
    [
      ...source.matchAll(
        /(?:env, |env\.|\{ |, |: |\()'?(APPHUB_[A-Z0-9_]+|[A-Z]+_URL|PORT|HOST|DOCKER_[A-Z_]+|LOG_LEVEL)\b/g,
      ),
    ].map(([, name = '']) => name),
  );
  const page = await readFile(path.join(root, 'docs/settings.md'), 'utf8');
  const rows = page.split('\n').filter(line => line.startsWith('| `'));
  const told = rows.flatMap(row =>
    [...(row.split('|')[1] ?? '').matchAll(/`([A-Z0-9_]+)`/g)].map(([, name = '']) => name),
  );
  assert.ok(told.length > 20);
  assert.deepEqual([...new Set(read)].sort(), told.toSorted());
});

test('a decision record or page links only to what is there', async () => {
  const pages = (await readdir(path.join(root, 'docs'), { recursive: true })).filter(file =>
    file.endsWith('.md'),
  );
  for (const page of [...pages.map(file => `docs/${file}`), 'CONTRIBUTING.md', 'README.md']) {
    const text = await readFile(path.join(root, page), 'utf8');
    for (const [, target = ''] of text.matchAll(/\]\((?!https?:|#)([^)#\s]+)/g)) {
      assert.ok(existsSync(path.join(root, path.dirname(page), target)), `${page} links to ${target}`);
    }
  }
});
