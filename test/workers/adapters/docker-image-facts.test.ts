/** Who an image runs as, by what it says and what its own list of users makes of it. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { parsePasswd, userOf } from '../../../workers/adapters/docker-image-facts.ts';

const passwd = parsePasswd(
  [
    'root:x:0:0:root:/root:/bin/sh',
    'toor:x:0:0::/root:/bin/sh',
    'app:x:1000:1001::/home/app:/bin/sh',
    '1500:x:0:0:a name that is a number:/:/bin/sh',
    '1600',
    'odd:x:none:',
    '  spaced:x:1700:1700::/:  ',
    '',
  ].join('\n'),
);

suite('the user of an image', () => {
  const cases: [string, ReturnType<typeof userOf>][] = [
    ['', null],
    ['0', null],
    ['root', null],
    ['root:app', null],
    ['toor', null],
    ['0:1000', null],
    ['00', null],
    ['app', { uid: 1000, gid: 1001 }],
    ['app:7', { uid: 1000, gid: 7 }],
    ['1000', { uid: 1000, gid: 1001 }],
    ['1000:0', { uid: 1000, gid: 0 }],
    ['2000', { uid: 2000, gid: 0 }],
    ['spaced', { uid: 1700, gid: 1700 }],
  ];
  for (const [given, user] of cases) {
    test(`"${given}" is ${JSON.stringify(user)}`, () => assert.deepEqual(userOf(given, passwd), user));
  }

  test('is root where a number is the name of root in its list, or of one without a number', () => {
    assert.equal(userOf('1500', passwd), null);
    assert.equal(userOf('1600', passwd), null);
    assert.equal(userOf('odd', passwd), null);
  });

  test('has to be there', () => {
    assert.throws(() => userOf('ghost', passwd), /The user "ghost" of the image is not in its \/etc\/passwd/);
    assert.throws(() => userOf('-1', []), /The user "-1"/);
  });

  test('is a number where there is no list', () => {
    assert.deepEqual(userOf('1000:1000', parsePasswd('')), { uid: 1000, gid: 1000 });
  });
});
