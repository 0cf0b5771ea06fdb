/** What proves the log, from the command line: fetched from a server, and verified without one. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, suite, test } from 'node:test';
import { newSigner } from '../../platform/proof/note.ts';
import { operatorToken } from '../support/api.ts';
import { startAudited } from '../support/audit-tree.ts';
import { exportOf, leavesOf } from '../support/proof.ts';
import { runCli } from '../support/run-cli.ts';

suite('apphub audit, of a server', async () => {
  const audited = await startAudited();
  const folder = mkdtempSync(path.join(os.tmpdir(), 'apphub-test-cli-proof-'));
  const file = (name: string) => path.join(folder, name);
  const env = { APPHUB_URL: audited.api.url, APPHUB_TOKEN: operatorToken };
  const online = (...args: string[]) => runCli(args, env);
  /** With no server to ask, and in a folder where nothing is. */
  const offline = (...args: string[]) => runCli(['audit', 'verify', ...args], {}, folder);
  let key: string;
  before(async () => {
    await audited.register(5);
    [key = ''] = await audited.keys();
    writeFileSync(file('key'), `${key}\n`);
  });
  after(async () => {
    await audited.close();
    rmSync(folder, { recursive: true, force: true });
  });

  test('an export is verified without the server, against a checkpoint that was kept before', async () => {
    const kept = await online('audit', 'checkpoint', '--key', key);
    assert.equal(kept.code, 0, kept.stderr);
    writeFileSync(file('kept.txt'), kept.stdout);
    await audited.register(4);
    const exported = await online('audit', 'export', file('audit.txt'), '--json');
    assert.equal(exported.code, 0, exported.stderr);
    const { size } = JSON.parse(exported.stdout);
    const verified = await offline('audit.txt', '--key', 'key', '--checkpoint', 'kept.txt', '--json');
    assert.equal(verified.code, 0, verified.stdout + verified.stderr);
    const { ok, export: found, findings } = JSON.parse(verified.stdout);
    assert.deepEqual([ok, found.size, found.agreeing, findings], [true, size, ['kept.txt'], []]);
    const said = await offline('audit.txt', '--key', key);
    assert.match(said.stdout, /events +\d+\n[\s\S]*Everything holds\./);
    const printed = await online('audit', 'export', '-');
    assert.ok(printed.stdout.startsWith(readFileSync(file('audit.txt'), 'utf8').split('\n', 3).join('\n')));
  });

  test('what was changed in it is named and located', async () => {
    const text = readFileSync(file('audit.txt'), 'utf8');
    writeFileSync(file('changed.txt'), text.replace('"app-4"', '"app-x"'));
    const { code, stdout } = await offline('changed.txt', '--key', 'key', '--json');
    assert.equal(code, 1);
    const { ok, findings } = JSON.parse(stdout);
    assert.deepEqual(
      [ok, findings.length, findings[0].kind, findings[0].source],
      [false, 1, 'changed', 'changed.txt'],
    );
    const at = text.split('\n').find(line => line.includes('"app-4"')) ?? '';
    assert.equal(findings[0].position, JSON.parse(at).position);
    assert.match(
      (await offline('changed.txt', '--key', 'key')).stdout,
      /changed +leaf \d+, position \d+: .*\n1 finding\./,
    );
    const cut = await offline('cut.txt', '--key', 'key');
    assert.equal(cut.code, 2);
    writeFileSync(file('cut.txt'), text.slice(0, -3));
    assert.equal((await offline('cut.txt', '--key', 'key')).code, 1);
  });

  test('a change leaves its receipt behind, which is verified years later', async () => {
    const receipt = file('receipt.json');
    const { code, stderr } = await online('apps', 'edit', 'app-1', '--name', 'Proved', '--receipt', receipt);
    assert.equal(code, 0, stderr);
    const verified = await offline('--receipt', 'receipt.json', '--key', 'key', '--json');
    assert.equal(verified.code, 0, verified.stdout + verified.stderr);
    const [{ position, leafHash }] = JSON.parse(verified.stdout).receipts;
    const fetched = await online('audit', 'receipt', position, '--save', file('with-event.json'));
    assert.match(fetched.stdout, /event +RepositoryChanged of apps\.repository-app-1/);
    assert.ok(fetched.stdout.includes(leafHash));
    const said = await offline('--receipt', 'with-event.json', '--receipt', 'receipt.json', '--key', 'key');
    assert.match(said.stdout, /RepositoryChanged of apps\.repository-app-1[\s\S]*Everything holds\./);

    await online('audit', 'rotate-key');
    const [, next = ''] = await audited.keys(2);
    writeFileSync(file('keys.json'), (await online('audit', 'keys', '--json')).stdout);
    assert.equal((await offline('--receipt', 'receipt.json', '--key', next)).code, 1);
    assert.equal((await offline('--receipt', 'receipt.json', '--key', next, '--keys', 'keys.json')).code, 0);
    await audited.register(3);
    await online('audit', 'export', file('later.txt'));
    for (const one of [key, next]) {
      const later = await offline(
        'later.txt',
        '--key',
        one,
        '--receipt',
        'receipt.json',
        '--checkpoint',
        'kept.txt',
      );
      assert.equal(later.code, 0, later.stdout);
    }
  });

  test('a receipt that was changed proves nothing', async () => {
    const receipt = JSON.parse(readFileSync(file('with-event.json'), 'utf8'));
    const changes: Record<string, object> = {
      changed: { leaf: receipt.leaf.replace('Proved', 'Forged') },
      unproved: { index: receipt.index - 1 },
      unsigned: { checkpoint: receipt.checkpoint.replace('\ntime 2', '\ntime 3') },
    };
    for (const [kind, change] of Object.entries(changes)) {
      writeFileSync(file('forged.json'), JSON.stringify({ ...receipt, ...change }));
      const { code, stdout } = await offline('--receipt', 'forged.json', '--key', 'key', '--json');
      const { findings } = JSON.parse(stdout);
      assert.deepEqual([code, findings[0].kind, findings[0].position], [1, kind, receipt.position]);
    }
  });

  test('the server has to go on from what was kept', async () => {
    const on = await online('audit', 'checkpoint', '--since', file('kept.txt'), '--json');
    assert.equal(on.code, 0, on.stderr);
    const own = exportOf(leavesOf(4), { signer: newSigner('apphub.example/audit') }).checkpoints;
    writeFileSync(file('other.txt'), `${own[0]?.note}\n`);
    const forked = await online('audit', 'checkpoint', '--since', file('other.txt'));
    assert.equal(forked.code, 1);
    assert.match(forked.stderr, /its history is another one/);
    assert.equal((await online('audit', 'checkpoint', '--key', next())).code, 1);
  });
  const next = () => newSigner('apphub.example/audit').vkey;

  test('witnesses and keys are shown, a rebuild is asked for', async () => {
    assert.match((await online('audit', 'keys')).stdout, /the one before/);
    assert.match((await online('audit', 'witnesses')).stderr, /no witnesses/);
    assert.equal((await online('audit', 'rebuild')).code, 0);
    assert.equal((await online('audit', 'restart')).code, 2);
  });
});

suite('apphub audit verify, of files alone', () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'apphub-test-cli-verify-'));
  after(() => rmSync(folder, { recursive: true, force: true }));
  const signer = newSigner('apphub.example/audit');
  const verify = (...args: string[]) =>
    runCli(['audit', 'verify', '--key', signer.vkey, ...args], {}, folder);
  const put = (name: string, text: string) => writeFileSync(path.join(folder, name), text);
  const [true_, forked] = [
    exportOf(leavesOf(700), { signer }),
    exportOf(
      leavesOf(700, n => ({ n: n >= 450 ? 'other' : n })),
      { signer },
    ),
  ];
  const notes = (sample: typeof true_) => sample.checkpoints.map(({ note }) => `${note}\n`).join('');

  test('two witnesses who were shown different histories find out by comparing', async () => {
    put('one.txt', notes(true_));
    put('two.txt', notes(forked));
    const { code, stdout } = await verify('--checkpoint', 'one.txt', '--checkpoint', 'two.txt', '--json');
    const { findings, compared } = JSON.parse(stdout);
    assert.deepEqual([code, compared.same], [1, 4]);
    const [{ kind, index, before, source }] = findings;
    assert.deepEqual([kind, index, before, source], ['forked', 400, 500, 'one.txt, two.txt']);
    put('three.txt', notes(true_));
    assert.equal((await verify('--checkpoint', 'one.txt', '--checkpoint', 'three.txt')).code, 0);
  });

  test('an export beside them says who has seen the other history', async () => {
    put('audit.txt', true_.lines.join(''));
    const { code, stdout } = await verify('audit.txt', '--checkpoint', 'one.txt', '--checkpoint', 'two.txt');
    assert.equal(code, 1);
    assert.match(stdout, /agreeing +one\.txt/);
    assert.match(stdout, /forked +leaves 400 to 499/);
  });

  test('what nothing can be said by is said', async () => {
    const stranger = newSigner('elsewhere.example/log');
    put('foreign.txt', notes(exportOf(leavesOf(3), { signer: stranger })));
    const foreign = await verify('audit.txt', '--checkpoint', 'foreign.txt', '--json');
    assert.deepEqual([foreign.code, JSON.parse(foreign.stdout).findings[0].kind], [1, 'foreign']);
    const unsigned = await verify('--checkpoint', 'foreign.txt', '--json');
    assert.deepEqual([unsigned.code, JSON.parse(unsigned.stdout).findings[0].kind], [1, 'unsigned']);
    for (const args of [
      [],
      ['nowhere.txt'],
      ['audit.txt', '--checkpoint', 'audit.txt'],
      ['--receipt', 'one.txt'],
      ['.'],
    ])
      assert.equal((await verify(...args)).code, 2, args.join(' '));
    assert.equal((await runCli(['audit', 'verify', 'audit.txt'], {}, folder)).code, 2);
    assert.equal((await runCli(['audit', 'verify', 'audit.txt', '--key', 'one.txt'], {}, folder)).code, 2);
  });
});
