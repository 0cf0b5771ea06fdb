/** Registering, changing and archiving apps over HTTP, against a real database that follows the log. */
import assert from 'node:assert/strict';
import { after, suite, test } from 'node:test';
import * as limits from '../../../domain/kernel/limits.ts';
import { startApi } from '../../support/api.ts';
import { ingest } from '../../support/play.ts';
import { assertInvalid, assertProblem } from '../../support/problem.ts';

const repoUrl = 'https://git.example/team/app.git';

suite('apps: register, change, archive', async () => {
  const api = await startApi({ allowLocalRepositories: false });
  const local = await startApi({ allowLocalRepositories: true });
  after(() => Promise.all([api.close(), local.close()]));
  let count = 0;
  const newId = () => `app-${++count}`;
  const register = (body: object) =>
    api.ask('POST', '/apps', { body: { id: newId(), name: 'A', repoUrl, ...body } });

  test('everything that is said of an app is what is read of it', async () => {
    const body = {
      id: 'the-first',
      name: 'The first ✓',
      description: 'Does\nthings',
      repoUrl,
      dockerfilePath: 'services/web/Dockerfile',
      ref: 'main',
      tags: [
        { key: 'language', value: 'node' },
        { key: 'topic', value: 'big: data' },
      ],
      homepage: 'https://example.org/',
      owner: 'ann',
    };
    const answer = await api.ask('POST', '/apps', { body });
    assert.equal(answer.status, 201, answer.text);
    assert.equal(answer.headers.get('location'), '/apps/the-first');
    assert.deepEqual(Object.keys(answer.body.data).sort(), ['id', 'position']);
    assert.match(answer.body.data.position, /^\d+$/);
    const seen = await api.ask('GET', `${answer.headers.get('location')}?after=${answer.body.data.position}`);
    const { tags, createdAt, updatedAt, ...rest } = seen.body.data;
    assert.deepEqual(rest, {
      ...Object.fromEntries(Object.entries(body).filter(([field]) => field !== 'tags')),
      sandbox: { egress: [], allowRoot: false, runtime: 'default' },
      status: 'pending',
      statusMessage: null,
      title: null,
      commit: null,
      branch: null,
      previews: [],
      ports: [],
      build: null,
      release: null,
      launch: { running: 0 },
      ingestedAt: null,
      ingestion: null,
    });
    assert.deepEqual(tags, [
      { key: 'language', value: 'node', source: 'author' },
      { key: 'topic', value: 'big: data', source: 'author' },
    ]);
    assert.equal(createdAt, updatedAt);
    assert.ok(Math.abs(Date.parse(createdAt) - Date.now()) < 60_000);
  });

  test('an id begins with a letter, and has 3 to 64 lower case letters, digits and dashes', async () => {
    for (const id of ['abc', 'a-1', `a${'b'.repeat(63)}`, 'a--']) {
      assert.equal((await api.ask('POST', '/apps', { body: { id, name: 'A', repoUrl } })).status, 201, id);
    }
    const wrong = [
      '',
      'ab',
      '1bc',
      '-bc',
      'aBc',
      'a_c',
      'a.c',
      'äbc',
      'abc\n',
      ' abc',
      `a${'b'.repeat(64)}`,
      7,
      null,
    ];
    for (const id of wrong) {
      assertInvalid(await api.ask('POST', '/apps', { body: { id, name: 'A', repoUrl } }), 'id');
    }
    for (const id of ['AB', 'a', encodeURIComponent('a/b')]) {
      for (const [method, place] of [
        ['GET', ''],
        ['PATCH', ''],
        ['DELETE', ''],
        ['GET', '/history'],
        ['POST', '/retry'],
        ['POST', '/launches'],
      ]) {
        const body = method === 'PATCH' ? { name: 'B' } : undefined;
        assertInvalid(await api.ask(method ?? '', `/apps/${id}${place}`, { body }), 'appId');
      }
    }
  });

  test('addresses of other machines are taken', async () => {
    const taken = [
      repoUrl,
      'http://git.example:8080/app',
      'ssh://git@git.example:22/~ann/app.git',
      'git://git.example/app.git',
      'git@git.example:team/app.git',
    ];
    for (const url of taken) assert.equal((await register({ repoUrl: url })).status, 201, url);
  });

  test('an address that runs a program, is an option, a secret or of this machine is refused', async () => {
    const refused: [string, RegExp][] = [
      ['ext::sh -c touch% /tmp/pwned', /::/],
      ['EXT::sh', /::/],
      ['fd::17', /::/],
      ['--upload-pack=touch /tmp/pwned', /"-"/],
      ['-oProxyCommand=x', /"-"/],
      ['ssh://-oProxyCommand=x/y', /./],
      ['ssh://%2doProxyCommand=x/y', /./],
      ['https://ann:secret@git.example/app.git', /password/],
      ['https://token@git.example/app.git', /password/],
      ['https://git.example/app.git?token=secret', /\?/],
      ['file:///srv/git/app.git', /this machine/],
      ['FILE:///srv/git/app.git', /this machine/],
      ['/srv/git/app.git', /this machine/],
      ['ftp://git.example/app.git', /ftp/],
      ['javascript:alert(1)', /./],
      ['git.example/app', /./],
      ['../app', /./],
      ['https://git.example/a\nb', /line breaks/],
      ['https://git.example/', /path/],
      ['C:\\repos\\app', /backslash/],
    ];
    for (const [url, right] of refused) {
      assert.match(assertInvalid(await register({ repoUrl: url }), 'repoUrl'), right, url);
    }
    assertInvalid(await register({ repoUrl: '' }), 'repoUrl');
    assertInvalid(await register({ repoUrl: `https://git.example/${'a'.repeat(2_048)}` }), 'repoUrl');
  });

  test('addresses of this machine only where that is allowed; nothing else is let through by it', async () => {
    const ask = (url: string) =>
      local.ask('POST', '/apps', { body: { id: newId(), name: 'A', repoUrl: url } });
    for (const url of ['file:///srv/git/app.git', '/srv/git/app.git']) {
      assert.equal((await ask(url)).status, 201, url);
    }
    for (const url of ['file://host/srv/app', 'file:app', 'ext::sh', '--upload-pack=x', 'srv/git']) {
      assertInvalid(await ask(url), 'repoUrl');
    }
  });

  test('a Dockerfile is below the root, a ref is a name that git knows, a homepage is of the web', async () => {
    const fields: [string, unknown[], unknown[]][] = [
      [
        'dockerfilePath',
        ['Dockerfile', 'a/b/Dockerfile.prod', 'ä b/Dockerfile', null],
        [
          '',
          '/Dockerfile',
          '../Dockerfile',
          'a/../../x',
          './Dockerfile',
          'a//b',
          'a/',
          '-f',
          'a\\b',
          '.git/config',
          'a\nb',
          7,
        ],
      ],
      [
        'ref',
        ['main', 'v1.2', 'feature/x-1', null],
        [
          '',
          '-main',
          '--upload-pack=x',
          'a..b',
          'a b',
          'a~1',
          'a^',
          'a:b',
          'a?',
          'a*',
          'a\\b',
          '@',
          'a@{1}',
          'x.lock',
          '/a',
          'a/',
          'a\n',
        ],
      ],
      [
        'homepage',
        ['https://example.org', 'http://localhost:3000/x?y', null],
        ['', 'javascript:alert(1)', 'example.org', 'data:text/html,x', 'file:///etc/passwd', true],
      ],
      [
        'owner',
        ['ann', 'Team Größe', null],
        ['', ' ', 'a\nb', '\u001b[31m', 'o'.repeat(limits.ownerCharsMax + 1)],
      ],
      ['description', ['', 'a\nb', null], ['d'.repeat(limits.descriptionCharsMax + 1), {}]],
      [
        'name',
        ['N', 'n'.repeat(limits.nameCharsMax)],
        ['', '  ', 'a\tb', 'a\u202eb', 'n'.repeat(limits.nameCharsMax + 1), null],
      ],
    ];
    for (const [field, taken, refused] of fields) {
      for (const value of taken) {
        const answer = await register({ [field]: value });
        assert.equal(answer.status, 201, `${field} ${JSON.stringify(value)}: ${answer.text}`);
      }
      for (const value of refused) {
        assertInvalid(await register({ [field]: value }), field);
      }
    }
  });

  test('every mistake is named in one answer, and unknown fields are mistakes', async () => {
    const several = await register({
      name: ' ',
      ref: '-x',
      homepage: 'x',
      dockerfilePath: '/x',
      repoUrl: 'x',
    });
    const fields = assertProblem(several, 400, 'invalid').map(({ field }) => field);
    assert.deepEqual(fields.sort(), ['dockerfilePath', 'homepage', 'name', 'ref', 'repoUrl']);
    const shapes = await api.ask('POST', '/apps', {
      body: { id: 'X', colour: 'red', tags: [{ key: 'K', value: '' }, 7] },
    });
    const errors = assertProblem(shapes, 400, 'invalid');
    const said = (field: string) =>
      errors.filter(error => error.field === field).map(({ message }) => message);
    assert.deepEqual(said('name'), ['is required']);
    assert.deepEqual(said('repoUrl'), ['is required']);
    assert.deepEqual(said('colour'), ['is not a known field']);
    assert.match(said('id')[0] ?? '', /\^\[a-z\]/);
    assert.equal(said('tags.0.key').length, 1);
    assert.equal(said('tags.0.value').length, 1);
    assert.deepEqual(said('tags.1'), ['must be object']);
    const either = assertProblem(await register({ description: 7 }), 400, 'invalid');
    assert.deepEqual(either, [{ field: 'description', message: 'must be string' }]);
  });

  test('text that no table can hold is refused', async () => {
    for (const value of ['a\0b', 'a\ud800', '\udc00']) {
      assertInvalid(await register({ description: value }), 'description');
      assertInvalid(await register({ tags: [{ key: 'k', value }] }), 'tags.0.value');
    }
  });

  test('tags: up to fifty at once, one given twice counts once', async () => {
    const tags = Array.from({ length: limits.tagsPerRequestMax }, (_, at) => ({ key: 'k', value: `v${at}` }));
    const id = newId();
    assert.equal((await register({ id, tags: [...tags.slice(1), { key: 'k', value: 'v1' }] })).status, 201);
    const { position } = await api.write('POST', `/apps/${id}/tags`, { key: 'k', value: 'v1' });
    assert.match(position, /^\d+$/);
    assert.equal((await api.read(`/apps/${id}`)).data.tags.length, limits.tagsPerRequestMax - 1);
    assertInvalid(await register({ tags: [...tags, { key: 'k', value: 'more' }] }), 'tags');
  });

  test('an id that is taken is answered with what is there now, archived or changed', async () => {
    const id = newId();
    await api.write('POST', '/apps', {
      id,
      name: 'One',
      repoUrl,
      owner: 'ann',
      tags: [{ key: 'a', value: 'b' }],
    });
    await api.write('PATCH', `/apps/${id}`, { name: 'Two' });
    await api.write('POST', `/apps/${id}/tags`, { key: 'c', value: 'd' });
    const again = await register({ id });
    assertProblem(again, 409, 'already-exists');
    assert.deepEqual(again.body.data, {
      id,
      status: 'registered',
      name: 'Two',
      description: null,
      repoUrl,
      ref: null,
      dockerfilePath: null,
      homepage: null,
      owner: 'ann',
      tags: [
        { key: 'a', value: 'b' },
        { key: 'c', value: 'd' },
      ],
    });
    assert.equal((await api.read(`/apps/${id}`)).data.repoUrl, repoUrl, 'the clash has changed the app');
  });

  test('PATCH changes what it names; null takes back; what is the same already is no event', async () => {
    const id = newId();
    await api.write('POST', '/apps', {
      id,
      name: 'One',
      repoUrl,
      description: 'D',
      owner: 'ann',
      ref: 'main',
    });
    const changed = await api.ask('PATCH', `/apps/${id}`, {
      body: { name: 'Two', description: null, ref: 'main' },
    });
    assert.equal(changed.status, 202, changed.text);
    assert.equal(changed.headers.get('location'), `/apps/${id}`);
    api.wrote(BigInt(changed.body.data.position));
    const { data } = await api.read(`/apps/${id}`);
    assert.deepEqual([data.name, data.description, data.ref, data.owner], ['Two', null, 'main', 'ann']);
    const again = await api.ask('PATCH', `/apps/${id}`, { body: { name: 'Two' } });
    assert.deepEqual(again.body.data, { id, position: changed.body.data.position });
    const history = await api.read(`/apps/${id}/history`);
    const [event] = history.data;
    assert.equal(history.data.length, 2);
    assert.deepEqual(event.data.changes, { name: 'Two', description: null });
  });

  test('PATCH is checked like a registration, needs something to change, and cannot change the id', async () => {
    const id = newId();
    await api.write('POST', '/apps', { id, name: 'One', repoUrl });
    assertInvalid(await api.ask('PATCH', `/apps/${id}`, { body: {} }), 'body');
    assertInvalid(await api.ask('PATCH', `/apps/${id}`, { body: { id: 'other' } }), 'id');
    assertInvalid(await api.ask('PATCH', `/apps/${id}`, { body: { tags: [] } }), 'tags');
    assertInvalid(await api.ask('PATCH', `/apps/${id}`, { body: { repoUrl: 'ext::sh' } }), 'repoUrl');
    assertInvalid(await api.ask('PATCH', `/apps/${id}`, { body: { name: null } }), 'name');
    assertInvalid(await api.ask('PATCH', `/apps/${id}`, { body: { name: 'a\nb' } }), 'name');
    assertInvalid(await api.ask('PATCH', `/apps/${id}`, { body: [] }), 'body');
    assertInvalid(await api.ask('PATCH', `/apps/${id}`), 'body');
    assertProblem(await api.ask('PATCH', '/apps/nobody', { body: { name: 'B' } }), 404, 'not-found');
  });

  test('an archived app is still read, takes nothing more, and may be registered again', async () => {
    const id = newId();
    await api.write('POST', '/apps', { id, name: 'One', repoUrl });
    await ingest(api, id);
    const { id: buildId } = await api.write('POST', `/apps/${id}/builds`);
    const gone = await api.ask('DELETE', `/apps/${id}`);
    assert.equal(gone.status, 202, gone.text);
    const { position } = gone.body.data;
    api.wrote(BigInt(position));
    assert.equal((await api.read(`/apps/${id}`)).data.status, 'archived');
    assert.equal((await api.read(`/apps/${id}/history`)).data[0].type, 'RepositoryArchived');
    assert.equal((await api.read(`/apps/${id}/builds`)).data.length, 1);
    assert.equal((await api.read(`/apps?status=archived&q=${id}`)).data.length, 1);
    assert.equal((await api.read(`/apps?q=${id}`)).data.length, 0);
    assert.deepEqual((await api.ask('DELETE', `/apps/${id}`)).body.data, { id, position }, 'twice is once');

    const refused: [string, string, unknown?][] = [
      ['PATCH', '', { name: 'B' }],
      ['POST', '/tags', { key: 'a', value: 'b' }],
      ['DELETE', '/tags/a/b'],
      ['POST', '/retry'],
      ['POST', '/cancel'],
      ['POST', '/builds'],
      ['POST', '/launches'],
    ];
    for (const [method, place, body] of refused) {
      assertProblem(await api.ask(method, `/apps/${id}${place}`, { body }), 409, 'archived');
    }
    assertProblem(await api.ask('GET', `/webhooks/git/${id}`), 409, 'archived');
    assert.equal((await api.ask('POST', `/builds/${buildId}/cancel`)).status, 202, 'what runs can be ended');
    assertProblem(await api.ask('POST', `/builds/${buildId}/retry`), 409, 'archived');

    const back = await api.write('POST', '/apps', { id, name: 'Again', repoUrl });
    assert.ok(BigInt(back.position) > BigInt(position));
    const { data } = await api.read(`/apps/${id}`);
    assert.deepEqual([data.name, data.status], ['Again', 'pending']);
  });

  test('what nobody registered is not there, whatever is asked of it', async () => {
    const asked: [string, string, unknown?][] = [
      ['GET', ''],
      ['GET', '/history'],
      ['GET', '/ingestions'],
      ['GET', '/builds'],
      ['GET', '/launches'],
      ['PATCH', '', { name: 'B' }],
      ['DELETE', ''],
      ['POST', '/tags', { key: 'a', value: 'b' }],
      ['DELETE', '/tags/a/b'],
      ['POST', '/retry'],
      ['POST', '/cancel'],
      ['POST', '/builds'],
      ['POST', '/launches'],
    ];
    for (const [method, place, body] of asked) {
      const answer = await api.ask(method, `/apps/nobody${place}`, { body });
      assertProblem(answer, 404, 'not-found');
      assert.equal(answer.body.appId, 'nobody');
    }
    assert.deepEqual(api.logged, [], 'nothing of all this was a failure of ours');
  });
});
