import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { checkRepoUrl, isLocalRepo } from '../../../domain/apps/repo-url.ts';
import { urlCharsMax } from '../../../domain/kernel/limits.ts';

const remote = [
  'https://example.org/team/app.git',
  'http://127.0.0.1:8080/app.git',
  'HTTPS://Example.org/team/app',
  'ssh://git@example.org:2222/team/app.git',
  'git://example.org/app',
  'git@example.org:team/app.git',
  'example.org:team/app.git',
  'git@[::1]:app.git',
  'ssh://[::1]/app.git',
];
const local = ['/srv/git/app.git', '/srv/git/my app', 'file:///srv/git/app.git'];

const refused: [string, RegExp][] = [
  ['', /http, https, ssh or git/],
  ['ext::sh -c touch% /tmp/x', /run programs/],
  ['EXT::sh', /run programs/],
  ['fd::17/foo', /run programs/],
  ['::x', /run programs/],
  ['--upload-pack=touch /tmp/x', /cannot begin with "-"/],
  ['-oProxyCommand=x:y', /cannot begin with "-"/],
  ['ssh://-oProxyCommand=x/app', /cannot begin with "-"|http, https/],
  ['ssh://%2doProxyCommand=x/app', /cannot begin with "-"|http, https/],
  ['ssh://-l@example.org/app', /cannot begin with "-"/],
  ['git@example.org:-app', /http, https/],
  ['git@-host:app', /http, https/],
  ['https://user:secret@example.org/app', /without user name and password/],
  ['https://token@example.org/app', /without user name and password/],
  ['ssh://git:secret@example.org/app', /without user name and password/],
  ['https://example.org/app?access_token=x', /without "\?" and "#"/],
  ['https://example.org/app#x', /without "\?" and "#"/],
  ['https://example.org/a\nb', /control characters/],
  ['https://example.org/a\u0000b', /control characters/],
  ['https://example.org/a b', /http, https/],
  ['https://', /http, https/],
  ['https://example.org', /path of the repository is missing/],
  ['ftp://example.org/app', /"ftp:" is not supported/],
  ['javascript:alert(1)//x y', /http, https/],
  ['javascript:alert(1)', /http, https/],
  ['data:text/html,x', /http, https/],
  ['mailto:ann', /http, https/],
  ['relative/path', /http, https/],
  ['../up', /http, https/],
  ['C:\\app', /backslash/],
  [`https://example.org/${'a'.repeat(urlCharsMax)}`, /at most 2048/],
];

suite('address of a repository', () => {
  for (const url of remote) {
    test(`fine: ${url}`, () => {
      assert.equal(checkRepoUrl(url, { allowLocal: false }), undefined);
      assert.equal(isLocalRepo(url), false);
    });
  }

  for (const url of local) {
    test(`fine only where local ones are allowed: ${url}`, () => {
      assert.equal(checkRepoUrl(url, { allowLocal: true }), undefined);
      assert.match(checkRepoUrl(url, { allowLocal: false }) ?? '', /this machine are not allowed/);
      assert.equal(isLocalRepo(url), true);
    });
  }

  for (const [url, says] of refused) {
    test(`refused everywhere: ${JSON.stringify(url.slice(0, 60))}`, () => {
      assert.match(checkRepoUrl(url, { allowLocal: true }) ?? 'taken', says);
      assert.match(checkRepoUrl(url, { allowLocal: false }) ?? 'taken', says);
    });
  }

  test('a file address of another machine is refused', () => {
    assert.match(checkRepoUrl('file://server/share', { allowLocal: true }) ?? '', /absolute path/);
    assert.match(checkRepoUrl('file:app', { allowLocal: true }) ?? '', /absolute path/);
  });
});
