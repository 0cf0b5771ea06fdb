/** The rules of the house, checked, and that each of them bites: what breaks it is planted in an empty house. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, suite, test } from 'node:test';
import { promisify } from 'node:util';
import { checkTidy } from './support/tidy-rules.ts';

const root = path.join(import.meta.dirname, '..');
const rooms = [
  'domain',
  'commands',
  'projections',
  'read-api',
  'workers',
  'eventstore',
  'platform',
  'cli',
  'web',
];
const timeout = 120_000;

test('the house is tidy', () => {
  const { files, violations } = checkTidy(root);
  assert.ok(files.length > 100, `only ${files.length} files found`);
  assert.deepEqual(violations, []);
});

test('imports have no cycles and no gaps', { timeout }, async () => {
  const { modules, violations } = await cruise(root);
  assert.ok(modules > 100, `only ${modules} modules seen`);
  assert.deepEqual(violations, []);
});

/** A file that breaks exactly one rule, and what is said about it. */
const planted: readonly { file: string; text: string; say: RegExp }[] = [
  { file: 'domain/apps/bad.ts', text: `import 'node:fs';`, say: /bad\.ts may not import node:fs/ },
  {
    file: 'domain/kernel/bad.ts',
    text: `export * from '../../platform/log.ts';`,
    say: /may not import platform/,
  },
  { file: 'domain/kernel/bad.ts', text: 'export const now = Date.now;', say: /Date\.now is banned/ },
  { file: 'domain/apps/bad.ts', text: 'export {};', say: /has no test\/domain\/apps\/bad\.test\.ts/ },
  {
    file: 'projections/apps/bad.ts',
    text: 'export {};',
    say: /has no test\/projections\/apps\/bad\.test\.ts/,
  },
  { file: 'projections/bad.ts', text: `import '../commands/execute.ts';`, say: /may not import commands/ },
  { file: 'projections/bad.ts', text: 'export const x = new Date();', say: /new Date\(\) is banned/ },
  {
    file: 'commands/bad.ts',
    text: `import '../projections/projector.ts';`,
    say: /may not import projections/,
  },
  { file: 'commands/bad.ts', text: `import { knex } from 'knex';`, say: /may not import knex/ },
  { file: 'commands/bad.ts', text: 'void store.append();', say: /store\.append\( is banned/ },
  {
    file: 'read-api/bad.ts',
    text: `import type { X } from '../eventstore/store.ts';`,
    say: /may not import eventstore/,
  },
  {
    file: 'read-api/apps/bad.ts',
    text: `const x = import('../../workers/index.ts');`,
    say: /may not import workers/,
  },
  { file: 'workers/bad.ts', text: `import '../read-api/fresh.ts';`, say: /may not import read-api/ },
  { file: 'workers/bad.ts', text: `import '../commands/index.ts';`, say: /may not import commands\/index/ },
  { file: 'workers/apps/bad.ts', text: `import Docker from 'dockerode';`, say: /may not import dockerode/ },
  {
    file: 'eventstore/bad.ts',
    text: `import {\n  START,\n} from '@eventstore/db-client';`,
    say: /may not import @event/,
  },
  { file: 'platform/bad.ts', text: `import Docker from 'dockerode';`, say: /may not import dockerode/ },
  { file: 'platform/bad.ts', text: `import '../cli/main.ts';`, say: /may not import cli/ },
  { file: 'web/apps/bad.js', text: `import { h } from 'preact';`, say: /may not import preact/ },
  { file: 'cli/bad.ts', text: `import '../test/support/given.ts';`, say: /may not import test/ },
  {
    file: 'commands/services/bad.ts',
    text: `import type { X } from '../apps/build.ts';`,
    say: /contexts meet in the log/,
  },
  {
    file: 'domain/services/bad.ts',
    text: `import { b } from '../apps/build.ts';`,
    say: /contexts meet in the log/,
  },
  { file: 'workers/bad.ts', text: `console.log('hello');`, say: /console\. is banned/ },
  { file: 'test/bad.test.ts', text: `test.only('x', () => {});`, say: /test\.only is banned/ },
  { file: 'test/bad.test.ts', text: `suite.skip('x', () => {});`, say: /suite\.skip is banned/ },
  { file: 'platform/bad.ts', text: 'export default 1;', say: /export default is banned/ },
  { file: 'platform/bad.ts', text: '//\n'.repeat(401), say: /more than 400 lines/ },
  { file: 'test/bad.ts', text: '//\n'.repeat(601), say: /more than 600 lines/ },
  { file: 'cli/bad.ts', text: `// ${'x'.repeat(130)}`, say: /bad\.ts:1 is longer than 130 columns/ },
];

suite('each rule bites', () => {
  for (const [at, { file, text, say }] of planted.entries()) {
    test(`${at + 1}. ${file}: ${say.source}`, async () => {
      const folder = await emptyHouse();
      await plant(folder, file, text);
      const { violations } = checkTidy(folder);
      assert.ok(
        violations.some(violation => say.test(violation)),
        `not found: ${violations.join('\n') || 'nothing was'}`,
      );
      const others = violations.filter(violation => !violation.includes(' has no test/'));
      assert.ok(others.length <= 1, `more than was planted: ${others.join('\n')}`);
    });
  }

  test('what is allowed passes', async () => {
    const folder = await emptyHouse();
    await plant(folder, 'domain/services/good.ts', `import type { X } from '../apps/build.ts';`);
    await plant(folder, 'test/domain/services/good.test.ts', '');
    await plant(folder, 'workers/adapters/good.ts', `import Docker from 'dockerode';`);
    await plant(folder, 'read-api/events/good.ts', `import type { X } from '../../eventstore/store.ts';`);
    await plant(folder, 'cli/good.ts', `import '../workers/index.ts';\nconsole.log('x');`);
    assert.deepEqual(checkTidy(folder).violations, []);
  });

  test('cycles, gaps and test packages in production code', { timeout }, async () => {
    const folder = await emptyHouse();
    await cp(path.join(root, '.dependency-cruiser.cjs'), path.join(folder, '.dependency-cruiser.cjs'));
    await cp(path.join(root, 'package.json'), path.join(folder, 'package.json'));
    await cp(path.join(root, 'tsconfig.json'), path.join(folder, 'tsconfig.json'));
    await symlink(path.join(root, 'node_modules'), path.join(folder, 'node_modules'));
    await plant(folder, 'domain/a.ts', `import { b } from './b.ts';\nexport const a = () => b;`);
    await plant(folder, 'domain/b.ts', `import { a } from './a.ts';\nexport const b = () => a;`);
    await plant(folder, 'commands/gap.ts', `import type { X } from './nowhere.ts';\nexport type Y = X;`);
    await plant(folder, 'platform/dev.ts', `import fc from 'fast-check';\nexport const x = fc;`);
    await plant(
      folder,
      'workers/testing.ts',
      `import { given } from '../test/given.ts';\nexport const x = given;`,
    );
    await plant(folder, 'test/given.ts', 'export const given = 1;');
    await plant(
      folder,
      'read-api/type.ts',
      `import type { X } from '../eventstore/store.ts';\nexport type Y = X;`,
    );
    await plant(folder, 'eventstore/store.ts', 'export type X = 1;');
    const { violations } = await cruise(folder);
    assert.deepEqual([...new Set(violations.map(violation => violation.split(':')[0]))].sort(), [
      'no-cycles',
      'no-gaps',
      'no-test-packages',
      'nothing-imports-tests',
      'reads-come-from-tables',
    ]);
  });

  test('a function that is too long', { timeout }, async () => {
    const folder = await emptyHouse();
    await cp(path.join(root, 'biome.json'), path.join(folder, 'biome.json'));
    const lines = '  x += 1;\n'.repeat(71);
    await plant(folder, 'domain/long.ts', `export function long(x: number) {\n${lines}  return x;\n}\n`);
    const biome = path.join(root, 'node_modules', '.bin', 'biome');
    const run = promisify(execFile)(biome, ['lint', '--vcs-enabled=false', 'domain'], { cwd: folder });
    await assert.rejects(run, (error: { stdout: string; stderr: string }) => {
      assert.match(error.stdout + error.stderr, /noExcessiveLinesPerFunction/);
      return true;
    });
  });
});

const folders: string[] = [];
after(async () => {
  for (const folder of folders) await rm(folder, { recursive: true, force: true });
});

async function emptyHouse(): Promise<string> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'apphub-test-tidy-'));
  folders.push(folder);
  for (const room of rooms) await mkdir(path.join(folder, room));
  return folder;
}

async function plant(folder: string, file: string, text: string): Promise<void> {
  await mkdir(path.dirname(path.join(folder, file)), { recursive: true });
  await writeFile(path.join(folder, file), text);
}

type Cruised = {
  summary: { totalCruised: number; violations: { rule: { name: string }; from: string; to: string }[] };
};

async function cruise(folder: string): Promise<{ modules: number; violations: readonly string[] }> {
  const program = path.join(root, 'node_modules', '.bin', 'depcruise');
  const args = [program, '--config', '.dependency-cruiser.cjs', '--output-type', 'json', ...rooms];
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: folder, maxBuffer: 1 << 28 });
  const { summary } = JSON.parse(stdout) as Cruised;
  return {
    modules: summary.totalCruised,
    violations: summary.violations.map(({ rule, from, to }) => `${rule.name}: ${from} → ${to}`),
  };
}
