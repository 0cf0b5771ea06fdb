import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { after, before, suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  cloneRepository,
  GitFailure,
  type GitFailureCode,
  remoteHead,
} from '../../../workers/adapters/git.ts';
import { type GitServer, startGitServer } from '../../support/git-server.ts';
import { commitTo, git, makeRepo } from '../../support/sample-repos.ts';

const root = mkdtempSync(path.join(os.tmpdir(), 'apphub-git-'));
let server: GitServer;
let old: GitServer;
let repo: string;
let first: string;
let second: string;
let side: string;
let folders = 0;
const newFolder = () => path.join(root, `checkout-${++folders}`);
const fails = (code: GitFailureCode, says: RegExp, retryable: boolean) => (error: unknown) => {
  assert.ok(error instanceof GitFailure, String(error));
  assert.deepEqual({ code: error.code, retryable: error.retryable }, { code, retryable }, error.message);
  assert.match(error.message, says);
  assert.ok(!error.message.includes(root), `shows a path of this machine: ${error.message}`);
  return true;
};

before(async () => {
  repo = makeRepo(root, 'app');
  first = commitTo(repo, { 'a.txt': 'one\n', 'dir/b.txt': 'b\n' }, 'First');
  second = commitTo(repo, { 'a.txt': 'two\n' }, 'Second');
  git(repo, ['update-ref', 'refs/heads/side/branch', first]);
  side = commitTo(repo, { 'side.txt': 'side\n' }, 'Side', 'side/branch');
  git(repo, ['tag', '-a', '-m', 'annotated', 'v1', first]);
  makeRepo(root, 'empty');
  server = await startGitServer({ root });
  old = await startGitServer({ root, isOld: true });
});
after(async () => {
  await server.close();
  await old.close();
  rmSync(root, { recursive: true, force: true });
});

suite('cloning', () => {
  test('gives the newest commit of HEAD, its branch and its files, without history', async () => {
    const into = newFolder();
    const url = `${server.url}/app.git`;
    assert.deepEqual(await cloneRepository({ url, into, allowLocal: false }), {
      commit: second,
      branch: 'main',
    });
    assert.equal(readFileSync(path.join(into, 'a.txt'), 'utf8'), 'two\n');
    assert.equal(readFileSync(path.join(into, 'dir/b.txt'), 'utf8'), 'b\n');
    assert.equal(git(into, ['rev-list', '--all', '--count', 'HEAD']), '1');
    assert.equal(git(into, ['status', '--porcelain']), '');
  });

  for (const kind of ['new', 'old'] as const) {
    test(`gives a branch, an annotated tag and any commit from a server of the ${kind} kind`, async () => {
      const url = `${(kind === 'new' ? server : old).url}/app.git`;
      const clone = (what: { ref?: string; commit?: string }) =>
        cloneRepository({ url, into: newFolder(), allowLocal: false, ...what });
      assert.deepEqual(await clone({ ref: 'side/branch' }), { commit: side, branch: 'side/branch' });
      assert.deepEqual(await clone({ ref: 'v1' }), { commit: first, branch: null });
      assert.deepEqual(await clone({ commit: first }), { commit: first, branch: 'main' });
      assert.deepEqual(await clone({ commit: side }), { commit: side, branch: 'main' });
      assert.deepEqual(await clone({ ref: first }), { commit: first, branch: 'main' });
      assert.deepEqual(await clone({ ref: 'gone', commit: first }), { commit: first, branch: null });
    });
  }

  test('a commit that is not there is named, after all branches were asked for', async () => {
    const commit = 'c0ffee'.padEnd(40, '0');
    for (const { url } of [server, old]) {
      const into = newFolder();
      const request = { url: `${url}/app.git`, commit, into, allowLocal: false };
      await assert.rejects(cloneRepository(request), fails('ref-not-found', /no commit c0ffee000000/, false));
      assert.ok(!existsSync(into));
    }
  });

  test('a branch that is not there, an empty repository and none at all are three failures', async () => {
    const clone = (name: string, ref?: string) =>
      cloneRepository({ url: `${server.url}/${name}.git`, ref, into: newFolder(), allowLocal: false });
    await assert.rejects(clone('app', 'gone'), fails('ref-not-found', /no branch or tag "gone"/, false));
    await assert.rejects(clone('empty'), fails('empty', /no commit yet/, false));
    await assert.rejects(clone('missing'), fails('not-found', /no Git repository at this address/, false));
  });

  test('a folder that holds something is left alone', async () => {
    const into = newFolder();
    mkdirSync(into);
    writeFileSync(path.join(into, 'mine'), '');
    await assert.rejects(
      cloneRepository({ url: `${server.url}/app.git`, into, allowLocal: false }),
      /not empty/,
    );
    assert.ok(existsSync(path.join(into, 'mine')));
  });
});

suite('what git must not do', () => {
  test('paths of this machine are read only where that is allowed', async () => {
    for (const url of [repo, `file://${repo}`]) {
      await assert.rejects(
        cloneRepository({ url, into: newFolder(), allowLocal: false }),
        fails('refused', /this machine are not allowed/, false),
      );
      const { commit } = await cloneRepository({ url, into: newFolder(), allowLocal: true });
      assert.equal(commit, second);
      assert.equal(await remoteHead({ url, allowLocal: true, ref: 'v1' }), first);
    }
  });

  test('helpers and options in the place of addresses and refs are refused', async () => {
    const planted = path.join(root, 'planted');
    const refused = fails('refused', /./, false);
    for (const url of [
      `ext::touch ${planted}`,
      `--upload-pack=touch ${planted}`,
      `-oProxyCommand=touch ${planted}`,
    ]) {
      await assert.rejects(cloneRepository({ url, into: newFolder(), allowLocal: true }), refused);
      await assert.rejects(remoteHead({ url, allowLocal: true }), refused);
    }
    const ref = `--upload-pack=touch ${planted}`;
    await assert.rejects(remoteHead({ url: `${server.url}/app.git`, ref, allowLocal: true }), refused);
    assert.ok(!existsSync(planted));
  });

  test('no configuration, template, hook, LFS filter or submodule has a say', async () => {
    const planted = path.join(root, 'ran');
    const home = path.join(root, 'home');
    const hooks = path.join(home, 'template/hooks');
    mkdirSync(hooks, { recursive: true });
    const script = `#!/bin/sh\ntouch '${planted}'\n`;
    writeFileSync(path.join(hooks, 'post-checkout'), script, { mode: 0o755 });
    writeFileSync(
      path.join(home, '.gitconfig'),
      `[init]\n templateDir = ${home}/template\n[core]\n hooksPath = ${hooks}\n` +
        `[filter "lfs"]\n smudge = touch ${planted}\n required = true\n[credential]\n helper = !touch ${planted}\n` +
        '[submodule]\n recurse = true\n[protocol]\n allow = always\n',
    );
    const trap = makeRepo(root, 'trap');
    const pointer = 'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n';
    commitTo(
      trap,
      {
        '.gitattributes': '*.bin filter=lfs\n',
        'a.bin': pointer,
        '.gitmodules': `[submodule "s"]\n path = s\n url = ext::touch ${planted}\n`,
      },
      'Trap',
    );
    const saved = { ...process.env };
    Object.assign(process.env, {
      HOME: home,
      GIT_CONFIG_GLOBAL: path.join(home, '.gitconfig'),
      GIT_TEMPLATE_DIR: path.join(home, 'template'),
      GIT_ASKPASS: path.join(hooks, 'post-checkout'),
      GIT_SSH_COMMAND: `touch ${planted}`,
    });
    const guarded = await startGitServer({ root, password: 'user:secret' });
    try {
      const into = newFolder();
      await cloneRepository({ url: `${server.url}/trap.git`, into, allowLocal: false });
      assert.equal(readFileSync(path.join(into, 'a.bin'), 'utf8'), pointer);
      assert.ok(!existsSync(path.join(into, '.git/hooks')));
      await assert.rejects(
        remoteHead({ url: `${guarded.url}/app.git`, allowLocal: false }),
        fails('auth', /does not exist or is private/, false),
      );
    } finally {
      await guarded.close();
      for (const name of Object.keys(process.env)) if (!(name in saved)) delete process.env[name];
      Object.assign(process.env, saved);
    }
    assert.ok(!existsSync(planted));
  });
});

suite('the machine git runs on', () => {
  const withPath = async (folder: string, use: () => Promise<void>) => {
    const saved = process.env.PATH;
    process.env.PATH = folder;
    try {
      await use();
    } finally {
      process.env.PATH = saved;
    }
  };

  test('ssh is told never to ask, and its refusal is said', async () => {
    const bin = path.join(root, 'bin');
    mkdirSync(bin);
    const script = [
      '#!/bin/sh',
      `echo "$@" > '${bin}/arguments'`,
      "echo 'git@example.org: Permission denied (publickey).' >&2",
      'exit 255\n',
    ].join('\n');
    writeFileSync(path.join(bin, 'ssh'), script, { mode: 0o755 });
    await withPath(`${bin}:${process.env.PATH}`, () =>
      assert.rejects(
        remoteHead({ url: 'git@example.org:team/app.git', allowLocal: false }),
        fails('auth', /did not let us in over ssh/, false),
      ),
    );
    const told = readFileSync(path.join(bin, 'arguments'), 'utf8');
    assert.match(told, /-o BatchMode=yes .*git@example\.org git-upload-pack 'team\/app\.git'/);
  });

  test('a machine without git says so', async () => {
    await withPath(path.join(root, 'nothing-here'), () =>
      assert.rejects(
        remoteHead({ url: `${server.url}/app.git`, allowLocal: false }),
        fails('failed', /git is not installed/, true),
      ),
    );
  });
});

suite('limits of cloning', () => {
  test('too many files and too many bytes are seen before anything is written out', async () => {
    const url = `${server.url}/big.git`;
    const big = makeRepo(root, 'big');
    commitTo(big, { zeros: Buffer.alloc(4 * 1024 * 1024), a: 'a', b: 'b' }, 'Unfolds to 4 MiB');
    const clone = (limits: object) => cloneRepository({ url, into: newFolder(), allowLocal: false, limits });
    await assert.rejects(
      clone({ bytesMax: 2 * 1024 * 1024 }),
      fails('too-large', /larger than 2 MiB/, false),
    );
    await assert.rejects(clone({ filesMax: 2 }), fails('too-large', /more than 2 files/, false));
    await clone({ bytesMax: 5 * 1024 * 1024, filesMax: 3 });
  });

  test('a transfer is ended while it runs, as soon as it is too large', async () => {
    const random = makeRepo(root, 'random');
    commitTo(random, { noise: randomBytes(4 * 1024 * 1024) }, 'Cannot be packed');
    const holding = await startGitServer({ root, holdAfterBytes: 3 * 1024 * 1024 });
    const into = newFolder();
    const limits = { bytesMax: 1024 * 1024, timeMsMax: 60_000 };
    try {
      const clone = cloneRepository({ url: `${holding.url}/random.git`, into, allowLocal: false, limits });
      await assert.rejects(clone, fails('too-large', /larger than 1 MiB/, false));
      assert.ok(!existsSync(into));
      while (holding.open() > 0) await sleep(10);
    } finally {
      await holding.close();
    }
  });

  test('a server that stops answering is given up in time, and git with it', async () => {
    const holding = await startGitServer({ root, holdAfterBytes: 0 });
    const request = { url: `${holding.url}/app.git`, allowLocal: false };
    const late = fails('timeout', /longer than 1 s/, true);
    try {
      await assert.rejects(
        cloneRepository({ ...request, into: newFolder(), limits: { timeMsMax: 900 } }),
        late,
      );
      await assert.rejects(remoteHead({ ...request, timeMsMax: 900 }), late);
      while (holding.open() > 0) await sleep(10);
    } finally {
      await holding.close();
    }
  });

  test('is cancelled by its signal, at once and half-way', async () => {
    const holding = await startGitServer({ root, holdAfterBytes: 10 });
    const controller = new AbortController();
    const request = { url: `${holding.url}/app.git`, allowLocal: false, signal: controller.signal };
    const cancelled = fails('cancelled', /cancelled/, false);
    try {
      const into = newFolder();
      const clone = assert.rejects(cloneRepository({ ...request, into }), cancelled);
      while (!holding.requests.some(each => each.endsWith('/git-upload-pack'))) await sleep(10);
      controller.abort();
      await clone;
      assert.ok(!existsSync(into));
      await assert.rejects(cloneRepository({ ...request, into: newFolder() }), cancelled);
      await assert.rejects(remoteHead(request), cancelled);
    } finally {
      await holding.close();
    }
  });
});

suite('the newest commit of a ref', () => {
  test('moves with each push and costs one list of refs', async () => {
    const moving = makeRepo(root, 'moving');
    const one = commitTo(moving, { a: '1' }, 'One');
    const url = `${server.url}/moving.git`;
    const before = server.requests.length;
    assert.equal(await remoteHead({ url, allowLocal: false }), one);
    assert.ok(server.requests.length - before <= 2);
    const two = commitTo(moving, { a: '2' }, 'Two');
    assert.equal(await remoteHead({ url, allowLocal: false }), two);
    assert.equal(await remoteHead({ url, ref: 'main', allowLocal: false }), two);
    assert.equal(await remoteHead({ url, ref: 'refs/heads/main', allowLocal: false }), two);
    assert.equal(await remoteHead({ url: `${server.url}/app.git`, ref: 'v1', allowLocal: false }), first);
    assert.equal(await remoteHead({ url: `${old.url}/app.git`, ref: 'v1', allowLocal: false }), first);
  });

  test('a server that is away, breaks or is none is worth another attempt', async () => {
    const socket = createTcpServer(connection => connection.destroy());
    await new Promise<void>(resolve => socket.listen(0, '127.0.0.1', resolve));
    const { port } = socket.address() as AddressInfo;
    const broken = createServer((_request, response) => response.writeHead(503).end());
    await new Promise<void>(resolve => broken.listen(0, '127.0.0.1', resolve));
    const url503 = `http://127.0.0.1:${(broken.address() as AddressInfo).port}/app.git`;
    const unreachable = fails('unreachable', /could not be reached/, true);
    try {
      await assert.rejects(
        remoteHead({ url: `http://127.0.0.1:${port}/app.git`, allowLocal: false }),
        unreachable,
      );
      await assert.rejects(remoteHead({ url: url503, allowLocal: false }), unreachable);
    } finally {
      await new Promise(resolve => socket.close(resolve));
      await new Promise(resolve => broken.close(resolve));
    }
    await assert.rejects(
      remoteHead({ url: `http://127.0.0.1:${port}/app.git`, allowLocal: false }),
      unreachable,
    );
  });
});

test('nothing is left behind but the checkouts that were made', () => {
  const left = readdirSync(root).filter(name => name.startsWith('checkout-'));
  for (const name of left) assert.ok(readdirSync(path.join(root, name)).length > 0, name);
});
