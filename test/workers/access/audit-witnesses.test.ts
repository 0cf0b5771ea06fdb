/** Checkpoints handed to witnesses of each kind: all, in order, once, and none that does not go on from what they have. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, suite, test } from 'node:test';
import { systemClock } from '../../../commands/clock.ts';
import type { WitnessConfig } from '../../../platform/audit-witness-config.ts';
import { parseCheckpoint } from '../../../platform/proof/checkpoint.ts';
import { appendCheckpoints, readCheckpoints } from '../../../platform/proof/checkpoint-file.ts';
import { newSigner, parseNote, readVerifier, verifyNote } from '../../../platform/proof/note.ts';
import { keepWitnesses } from '../../../workers/access/audit-witnesses.ts';
import { fileWitness } from '../../../workers/adapters/witness-file.ts';
import { gitWitness } from '../../../workers/adapters/witness-git.ts';
import { httpWitness } from '../../../workers/adapters/witness-http.ts';
import { startAudited } from '../../support/audit-tree.ts';
import { exportOf, leavesOf, verifyText } from '../../support/proof.ts';
import { startWitness } from '../../support/witness-server.ts';
import { eventually } from '../../support/workers.ts';

const closings: (() => unknown)[] = [];
after(async () => {
  for (const closing of closings.reverse()) await closing();
});

async function setUp() {
  const root = mkdtempSync(path.join(os.tmpdir(), 'apphub-test-witnesses-'));
  closings.push(() => rmSync(root, { recursive: true, force: true }));
  let published: () => void = () => undefined;
  const audited = await startAudited({}, { onPublished: () => published() });
  closings.push(() => audited.close());
  const { sql } = audited.database;
  const logged: object[] = [];
  const note = (detail: object) => void logged.push(detail);
  return {
    ...audited,
    sql,
    logged,
    folder(name: string): string {
      const made = path.join(root, name);
      mkdirSync(made, { recursive: true });
      return made;
    },
    /** Hands over until `end`. */
    keep(...configs: readonly WitnessConfig[]) {
      const stop = new AbortController();
      const kept = keepWitnesses({
        sql,
        clock: systemClock,
        witnesses: configs.map(one => {
          if (one.kind === 'file') return fileWitness(one);
          if (one.kind === 'git') return gitWitness(one, path.join(root, `git-${one.name}`));
          return httpWitness(one as Parameters<typeof httpWitness>[0]);
        }),
        log: { warn: note, error: note },
        signal: stop.signal,
        retryMs: 20,
      });
      published = kept.published;
      const end = () => {
        stop.abort();
        return kept.ended;
      };
      closings.push(end);
      return { end };
    },
    sizes: (): Promise<number[]> => sql('audit_checkpoints').orderBy('size').pluck('size'),
    /** As the API says it. */
    stateOf: async (name: string) => {
      const { data } = (await audited.api.ask('GET', '/audit/witnesses')).body;
      return data.find((one: { name: string }) => one.name === name);
    },
  };
}

const common = { everySeconds: 0 };
const http = { ...common, key: undefined, isPrivate: true, tokenFile: undefined };
const sizesIn = (folder: string) => [...readCheckpoints(folder)].flat().map(({ size }) => size);

suite('a folder', async () => {
  const { api, register, keep, folder, sizes, stateOf, sql } = await setUp();
  const archive = { ...common, name: 'archive', kind: 'file', folder: folder('archive') } as const;

  test('has every checkpoint once, also those from before it was named, and after that is forgotten', async () => {
    for (const count of [1, 2]) {
      await register(4);
      await eventually(async () => assert.ok((await sizes()).length >= count));
    }
    const kept = keep(archive);
    await eventually(async () => assert.deepEqual(sizesIn(archive.folder), await sizes()));
    await register(6);
    await eventually(async () => {
      assert.ok((await sizes()).length >= 3);
      assert.deepEqual(sizesIn(archive.folder), await sizes());
      const { size, problem, seenAt } = await stateOf('archive');
      assert.deepEqual([size, problem], [(await sizes()).at(-1), null]);
      assert.ok(seenAt !== null);
    });
    await kept.end();
    await sql('audit_witnesses').delete();
    const again = keep(archive);
    await eventually(async () => assert.equal((await stateOf('archive'))?.size, (await sizes()).at(-1)));
    await again.end();
    assert.deepEqual(sizesIn(archive.folder), await sizes());
  });

  test('that is gone, or has another history, gets nothing, and that is said until it is well again', async () => {
    const gone = { ...archive, name: 'gone', folder: path.join(archive.folder, 'gone') };
    const other = { ...archive, name: 'other', folder: folder('other') };
    const foreign = exportOf(leavesOf(3), { signer: newSigner('apphub.example/audit') }).checkpoints;
    appendCheckpoints(other.folder, foreign);
    const longer = { ...archive, name: 'longer', folder: folder('longer') };
    appendCheckpoints(
      longer.folder,
      exportOf(leavesOf(900), { signer: newSigner('apphub.example/audit') }).checkpoints,
    );
    keep(gone, other, longer);
    await eventually(async () => {
      assert.match((await stateOf('gone'))?.problem ?? '', /There is no folder/);
      assert.match((await stateOf('other'))?.problem ?? '', /checkpoint of another history of 3 events/);
      assert.match((await stateOf('longer'))?.problem ?? '', /It has a checkpoint of 900 events/);
      assert.ok((await stateOf('gone'))?.failingSince !== null);
    });
    assert.deepEqual(sizesIn(other.folder), [3]);
    const { text } = await api.ask('GET', '/metrics');
    assert.match(text, /^apphub_audit_witness_failing\{witness="gone"\} 1$/m);
    assert.match(text, new RegExp(`^apphub_audit_signed_events ${(await sizes()).at(-1)}$`, 'm'));
    mkdirSync(gone.folder);
    await eventually(async () => {
      assert.deepEqual(sizesIn(gone.folder), await sizes());
      const { problem, failingSince } = await stateOf('gone');
      assert.deepEqual([problem, failingSince], [null, null]);
    });
    assert.equal(await stateOf('archive'), undefined);
  });
});

suite('who is asked over HTTP', async () => {
  const { api, register, keep, keys, sizes, stateOf, sql, folder } = await setUp();
  const server = await startWitness();
  closings.push(() => server.close());

  test('is posted each checkpoint in order, again after a no, with the token that is in a file', async () => {
    await register(7);
    server.answer({ status: 503, text: '' });
    const tokenFile = path.join(folder('secrets'), 'token');
    writeFileSync(tokenFile, 'a-token\n');
    const kept = keep({ ...http, name: 'notary', kind: 'http', url: server.url, tokenFile });
    await eventually(async () => assert.match((await stateOf('notary'))?.problem ?? '', /It answered 503/));
    server.answer({ status: 204, text: '' });
    server.bodies.length = 0;
    await register(3);
    await eventually(async () => {
      assert.deepEqual([...new Set(server.bodies.map(body => parseCheckpoint(body).size))], await sizes());
      assert.equal((await stateOf('notary')).problem, null);
    });
    await kept.end();
  });

  test('cosigns, which is shown with the checkpoint and in exports; what it has seen is found out by asking', async () => {
    server.answer(undefined);
    const city = { ...http, name: 'city', kind: 'witness', url: server.url, key: server.key } as const;
    const kept = keep(city);
    const cosigned = async () => {
      const newest = (await sizes()).at(-1);
      assert.equal((await stateOf('city'))?.size, newest);
      const { data } = (await api.ask('GET', `/audit/checkpoints?from=${newest}`)).body;
      const [{ note, cosignatures }] = data;
      const verified = verifyNote(parseNote(note + cosignatures.join('')), [server.key]);
      assert.ok((verified[0]?.at ?? 0) > 1_700_000_000);
    };
    await eventually(cosigned);
    await register(3);
    await eventually(cosigned);
    await kept.end();
    await sql('audit_witnesses').delete();
    await register(3);
    const again = keep(city);
    await eventually(cosigned);
    await again.end();
    const { text } = await api.ask('GET', '/audit/export');
    const [key = ''] = await keys();
    assert.deepEqual((await verifyText(text, { key: readVerifier(key) })).differences, []);
    const notes = text.split('\n').flatMap(line => (line.startsWith('checkpoint ') ? [line.slice(11)] : []));
    assert.ok(notes.some(note => Buffer.from(note, 'base64').toString().includes('— witness.example ')));
  });

  test('does not sign another history, and that is told from other troubles', async () => {
    const city = { ...http, name: 'city', kind: 'witness', url: server.url, key: server.key } as const;
    const foreign = exportOf(leavesOf(3), { signer: newSigner('apphub.example/audit') }).checkpoints;
    server.see(foreign[0]);
    await register(3);
    const kept = keep(city);
    await eventually(async () =>
      assert.match((await stateOf('city'))?.problem ?? '', /another history of 3 events/),
    );
    await kept.end();
    const stranger = keep({ ...city, name: 'stranger', key: newSigner('other.example', 4) });
    server.see(undefined);
    await eventually(async () =>
      assert.match((await stateOf('stranger'))?.problem ?? '', /not signed by its key/),
    );
    await stranger.end();
  });

  test('has to be at a public address, unless a private one is allowed', async () => {
    const port = new URL(server.url).port;
    const asked = server.bodies.length;
    const kept = keep(
      { ...http, name: 'by-number', kind: 'http', url: server.url, isPrivate: false },
      { ...http, name: 'by-name', kind: 'http', url: `http://localhost:${port}/`, isPrivate: false },
      { ...http, name: 'metadata', kind: 'http', url: 'http://169.254.169.254/', isPrivate: false },
    );
    await eventually(async () => {
      for (const name of ['by-number', 'by-name', 'metadata'])
        assert.match((await stateOf(name))?.problem ?? '', /not public/, name);
    });
    await kept.end();
    assert.equal(server.bodies.length, asked);
  });
});

suite('a branch of a Git repository', async () => {
  const { register, keep, folder, sizes, stateOf, sql } = await setUp();
  const bare = folder('audit.git');
  const git = (...args: string[]) => execFileSync('git', args, { cwd: bare, encoding: 'utf8' });
  git('init', '--quiet', '--bare');
  const repo = { ...common, name: 'repo', kind: 'git', url: bare, branch: 'log/main' } as const;
  const clone = () => {
    const into = folder(`clone-${Math.random()}`);
    execFileSync('git', ['clone', '--quiet', '--branch', repo.branch, bare, into]);
    return into;
  };
  const pushed = () =>
    eventually(async () => {
      assert.equal((await stateOf('repo'))?.size, (await sizes()).at(-1), (await stateOf('repo'))?.problem);
      assert.deepEqual(sizesIn(clone()), await sizes());
    });

  test('has them as files, one commit on the other, also of somebody else between, and after a crash', async () => {
    await register(4);
    const kept = keep(repo);
    await pushed();
    await register(3);
    await pushed();
    await kept.end();
    const theirs = clone();
    writeFileSync(path.join(theirs, 'README'), 'Checkpoints of AppHub\n');
    const ident = ['-c', 'user.name=a', '-c', 'user.email=a@b.example'];
    execFileSync('git', ['add', '.'], { cwd: theirs });
    execFileSync('git', [...ident, 'commit', '--quiet', '-m', 'about'], { cwd: theirs });
    execFileSync('git', ['push', '--quiet'], { cwd: theirs });
    // As a process leaves it that was killed while git ran. A round that is ended with its process may have taken all of it away.
    const own = path.join(path.dirname(bare), 'git-repo');
    mkdirSync(path.join(own, '.git'), { recursive: true });
    writeFileSync(path.join(own, '.git', 'index.lock'), '');
    mkdirSync(path.join(own, 'checkpoints'), { recursive: true });
    writeFileSync(path.join(own, 'checkpoints', '2099-01'), 'half a checkp');
    await sql('audit_witnesses').delete();
    await register(3);
    const again = keep(repo);
    await pushed();
    await again.end();
    const log = git('log', '--format=%s', repo.branch);
    assert.match(log, /^Checkpoint of \d+ events of apphub\.example\/audit\nabout\nCheckpoint of/);
    assert.ok(!sizesIn(clone()).includes(0));
  });

  test('is not written anew when it has another history', async () => {
    const theirs = clone();
    rmSync(path.join(theirs, 'checkpoints'), { recursive: true });
    appendCheckpoints(
      theirs,
      exportOf(leavesOf(3), { signer: newSigner('apphub.example/audit') }).checkpoints,
    );
    const ident = ['-c', 'user.name=a', '-c', 'user.email=a@b.example'];
    execFileSync('git', ['add', '.'], { cwd: theirs });
    execFileSync('git', [...ident, 'commit', '--quiet', '-m', 'forged'], { cwd: theirs });
    execFileSync('git', ['push', '--quiet'], { cwd: theirs });
    const tip = git('rev-parse', repo.branch);
    await register(3);
    const kept = keep(repo);
    await eventually(async () => assert.match((await stateOf('repo'))?.problem ?? '', /another history/));
    await kept.end();
    assert.equal(git('rev-parse', repo.branch), tip);
  });
});
