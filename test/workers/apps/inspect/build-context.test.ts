// biome-ignore-all lint/suspicious/noTemplateCurlyInString: a Dockerfile's variables look like that.
import assert from 'node:assert/strict';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { findContextFolder } from '../../../../workers/apps/inspect/build-context.ts';
import { withFolder } from '../../../support/checkout-folder.ts';
import type { Files } from '../../../support/sample-repos.ts';

const below = 'services/web';
/** The context of a Dockerfile in `services/web` that says this, among these files. */
const context = (dockerfile: string, files: Files) =>
  withFolder({ [`${below}/Dockerfile`]: `FROM a\n${dockerfile}\n`, ...files }, folder =>
    findContextFolder(folder, `${below}/Dockerfile`),
  );
const atRoot = (...names: string[]): Files => Object.fromEntries(names.map(name => [name, 'x']));
const beside = (...names: string[]): Files => atRoot(...names.map(name => `${below}/${name}`));

suite('the context of a Dockerfile', () => {
  test('is the root where everything that is copied lies there', async () => {
    assert.equal(await context('COPY services/web/index.html /x', beside('index.html')), '');
    assert.equal(await context('COPY a b /x/', { ...atRoot('a', 'b'), ...beside('a') }), '');
  });

  test('is the own folder where everything that is copied lies only there', async () => {
    assert.equal(await context('COPY index.html /x', beside('index.html')), below);
    assert.equal(await context('COPY a /x\nADD b/c /y', { ...beside('a', 'b/c'), ...atRoot('a') }), below);
    assert.equal(await context('COPY src /x', beside('src/main.c')), below);
    assert.equal(await context('COPY ["a b", "/x/"]', beside('a b')), below);
    assert.equal(await context('COPY --chown=1:1 a \\\n  b /x/', beside('a', 'b')), below);
  });

  test('is the root where neither has everything, and where nothing is copied', async () => {
    assert.equal(await context('COPY a b /x/', { ...beside('a'), ...atRoot('b') }), '');
    assert.equal(await context('COPY nowhere /x', beside('other')), '');
    assert.equal(await context('RUN true', beside('other')), '');
  });

  test('is the root for a Dockerfile at the root, and for one that is not there or cannot be read', async () => {
    const files = { Dockerfile: 'FROM a\nCOPY b /b', 'docs/Dockerfile': 'text', 'link/x': 'x' };
    await withFolder(files, async folder => {
      for (const file of [
        'Dockerfile',
        './Dockerfile',
        'x/../Dockerfile',
        'docs/Dockerfile',
        'no/Dockerfile',
        '../x',
        '/a/b',
      ]) {
        assert.equal(await findContextFolder(folder, file), '', file);
      }
    });
  });

  test('is told by patterns too', async () => {
    assert.equal(await context('COPY package*.json ./', beside('package-lock.json')), below);
    assert.equal(
      await context('COPY *.json ./', { ...beside('a.json'), ...atRoot('a.js', 'deep/a.json') }),
      below,
    );
    assert.equal(await context('COPY src/*/[a-c].? /x/', beside('src/one/b.c')), below);
    assert.equal(await context('COPY src/*/[a-c].? /x/', beside('src/one/d.c')), '');
    assert.equal(await context('COPY *.json ./', { ...beside('a.json'), ...atRoot('b.json') }), '');
  });

  test('is told by variables with what ARG and ENV give them', async () => {
    assert.equal(await context('ARG DIR=src\nCOPY $DIR/a /x', beside('src/a')), below);
    assert.equal(await context('ENV DIR=src\nCOPY ${DIR}/${FILE:-a} /x', beside('src/a')), below);
    assert.equal(await context('ARG DIR\nCOPY $DIR /x', beside('a')), '');
  });

  test('is not told by what comes from elsewhere', async () => {
    const elsewhere = [
      'FROM b AS made\nCOPY --from=0 /out /x',
      'COPY --from=nginx:1 /etc/nginx /x',
      'ADD https://example.org/a.tgz /x',
      'ADD git@example.org:a/b.git /x',
      'COPY <<EOF /x\nhello\nEOF',
    ];
    for (const line of elsewhere) {
      assert.equal(await context(line, beside('a')), '', line);
      assert.equal(await context(`${line}\nCOPY a /x`, beside('a')), below, line);
    }
  });

  test('a leading slash means the context, and dots are taken away as far as they stay inside', async () => {
    assert.equal(await context('COPY /a ./b/../c/. /x/', beside('a', 'c/d')), below);
    assert.equal(await context('COPY ../web/a /x', { ...beside('a'), ...atRoot('web/a') }), '');
    assert.equal(await context('COPY ../../a /x', atRoot('a')), '');
  });

  test('what .dockerignore keeps away is not there', async () => {
    const files = { ...beside('dist/a'), ...atRoot('dist/a') };
    assert.equal(await context('COPY dist /x', files), '');
    assert.equal(await context('COPY dist /x', { ...files, '.dockerignore': 'dist\n' }), below);
    assert.equal(await context('COPY dist/a /x', { ...files, '.dockerignore': 'dist\n' }), below);
    const both = { ...files, '.dockerignore': 'dist\n', [`${below}/.dockerignore`]: '**/a\ndist\n' };
    assert.equal(await context('COPY dist /x', both), '');
    const exception = { ...files, '.dockerignore': 'dist\n!dist/a\n' };
    assert.equal(await context('COPY dist/a /x', exception), '');
  });
});

suite('a Dockerfile that copies all there is', () => {
  test('is of the root, where nothing else is known', async () => {
    assert.equal(await context('COPY . .', beside('a')), '');
    assert.equal(await context('COPY . /app\nRUN make', beside('Makefile')), '');
  });

  test('is of its own folder where the files that its commands name are only there', async () => {
    assert.equal(
      await context('COPY . .\nRUN pip install -r requirements.txt', beside('requirements.txt')),
      below,
    );
    assert.equal(await context('COPY ./ /app\nCMD ["node", "server.js"]', beside('server.js')), below);
    assert.equal(await context('COPY . .\nRUN npm ci && npm run build', beside('package.json')), below);
    assert.equal(
      await context('WORKDIR /app\nCOPY / .\nENTRYPOINT ["/app/run.sh"]', beside('run.sh')),
      below,
    );
    const stages = 'WORKDIR /app\nFROM base\nCOPY . .\nCMD ["/app/run.sh"]';
    assert.equal(
      await withFolder({ 'x/Dockerfile': `FROM a AS base\n${stages}`, 'x/run.sh': 'x' }, folder =>
        findContextFolder(folder, 'x/Dockerfile'),
      ),
      'x',
    );
    const workspace = { ...beside('package.json', 'server.js'), ...atRoot('package.json') };
    const dockerfile = 'COPY package*.json ./\nRUN npm ci\nCOPY . .\nCMD node server.js';
    assert.equal(await context(dockerfile, workspace), below);
  });

  test('is of the root where one of them is only there', async () => {
    const files = { ...beside('server.js'), ...atRoot('package.json') };
    assert.equal(await context('COPY . .\nRUN npm ci\nCMD node server.js', files), '');
    assert.equal(await context('COPY . .\nCMD node services/web/server.js', beside('server.js')), '');
  });

  test('is of the root where another source is nowhere', async () => {
    assert.equal(await context('COPY nowhere .\nCOPY . .\nCMD node server.js', beside('server.js')), '');
  });

  test('is told apart by its commands, one that copies only what is in both is not', async () => {
    const files = { ...beside('a', 'server.js'), ...atRoot('a') };
    assert.equal(await context('COPY a .\nCOPY . .\nCMD node server.js', files), below);
    assert.equal(await context('COPY a .\nCMD node server.js', files), '');
  });

  test('is of where its other sources are', async () => {
    assert.equal(await context('COPY go.mod .\nCOPY . .', beside('go.mod')), below);
    const files = { ...beside('server.js'), ...atRoot('go.mod') };
    assert.equal(await context('COPY go.mod .\nCOPY . .\nCMD server.js', files), '');
  });
});

suite('hostile checkouts', () => {
  test('a link out of the own folder is not a file of it', async () => {
    const files = { shared: 'x', [`${below}/shared`]: { link: '../../shared' } };
    assert.equal(await context('COPY shared /x', files), '');
    const outside = { [`${below}/passwd`]: { link: '/etc/passwd' } };
    assert.equal(await context('COPY passwd /x', outside), '');
    const inside = { ...beside('real'), [`${below}/link`]: { link: 'real' } };
    assert.equal(await context('COPY link /x', inside), below);
  });

  test('a Dockerfile behind a link to another folder never makes that folder the context', async () => {
    await withFolder(
      { 'elsewhere/Dockerfile': 'FROM a\nCOPY secret /x', 'elsewhere/secret': 'x' },
      async out => {
        await withFolder({ a: 'x' }, async folder => {
          symlinkSync(path.join(out, 'elsewhere'), path.join(folder, 'link'));
          assert.equal(await findContextFolder(folder, 'link/Dockerfile'), '');
          mkdirSync(path.join(folder, 'real'));
          writeFileSync(path.join(folder, 'real/Dockerfile'), 'FROM a\nCOPY secret /x');
          writeFileSync(path.join(folder, 'real/secret'), 'x');
          assert.equal(await findContextFolder(folder, 'real/Dockerfile'), 'real');
          symlinkSync('real', path.join(folder, 'alias'));
          assert.equal(await findContextFolder(folder, 'alias/Dockerfile'), '');
        });
      },
    );
  });

  test('whatever it says, the answer is the root or the own folder, and the same again', async () => {
    const word = fc.constantFrom(
      'COPY',
      'ADD',
      '.',
      '..',
      '/',
      '*',
      '[',
      '$A',
      '"',
      '\\',
      '\n',
      'a',
      '--from',
      ' ',
    );
    await fc.assert(
      fc.asyncProperty(fc.array(word, { maxLength: 30 }), async words => {
        const files = { ...beside('a'), ...atRoot('b'), '.dockerignore': words.join('') };
        const first = await context(words.join(''), files);
        assert.ok(first === '' || first === below, first);
        assert.equal(await context(words.join(''), files), first);
      }),
      { numRuns: 100 },
    );
  });
});
