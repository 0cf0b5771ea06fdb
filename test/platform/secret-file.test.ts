import assert from 'node:assert/strict';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, suite, test } from 'node:test';
import { keepSecret, keepSecretBefore } from '../../platform/secret-file.ts';

suite('a secret in a file', () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'apphub-test-secret-'));
  after(() => rmSync(folder, { recursive: true }));
  const modeOf = (file: string) => statSync(file).mode & 0o777;

  test('is made once, for its owner’s eyes only, and found again', () => {
    const file = path.join(folder, 'deep', 'token');
    const made = keepSecret(file, { prefix: 'apphub_' });
    assert.equal(made.isNew, true);
    assert.match(made.secret, /^apphub_[A-Za-z0-9_-]{43}$/);
    assert.equal(readFileSync(file, 'utf8'), `${made.secret}\n`);
    assert.equal(modeOf(file), 0o600);
    assert.deepEqual(keepSecret(file, { prefix: 'apphub_' }), { secret: made.secret, isNew: false });
    assert.notEqual(keepSecret(path.join(folder, 'other')).secret, made.secret);
    assert.deepEqual(readdirSync(path.join(folder, 'deep')), ['token'], 'no draft is left');
  });

  test('that is given is kept in the place of the one that was there', () => {
    const file = path.join(folder, 'given');
    keepSecret(file);
    assert.deepEqual(keepSecret(file, { given: 'from-the-environment' }), {
      secret: 'from-the-environment',
      isNew: false,
    });
    assert.equal(keepSecret(file).secret, 'from-the-environment');
    assert.equal(modeOf(file), 0o600);
  });

  test('others can read no longer, once it was kept', () => {
    const file = path.join(folder, 'open');
    writeFileSync(file, 'known-to-all\n', { mode: 0o644 });
    writeFileSync(`${file}.new`, 'of a start that died', { mode: 0o666 });
    chmodSync(`${file}.new`, 0o666);
    assert.equal(keepSecret(file).secret, 'known-to-all');
    assert.equal(modeOf(file), 0o600);
    keepSecret(file, { given: 'another-secret' });
    assert.equal(modeOf(file), 0o600);
  });

  test('that takes the place of another keeps the one before it, and no others', () => {
    const file = path.join(folder, 'ring');
    const [first, ...none] = keepSecretBefore(file);
    assert.match(first, /^[A-Za-z0-9_-]{43}$/);
    assert.deepEqual([none, keepSecretBefore(file)], [[], [first]]);
    assert.equal(modeOf(file), 0o600);
    assert.deepEqual(keepSecretBefore(file, { given: 'second' }), ['second', first]);
    assert.deepEqual(keepSecretBefore(file, { given: 'second' }), ['second', first]);
    assert.deepEqual(keepSecretBefore(file), ['second', first]);
    assert.deepEqual(keepSecretBefore(file, { given: 'third' }), ['third', 'second']);
    // By hand: a new line before the others.
    writeFileSync(file, ` fourth \n\nthird\nsecond\n`);
    assert.deepEqual(keepSecretBefore(file), ['fourth', 'third']);
    assert.equal(readFileSync(file, 'utf8'), 'fourth\nthird\n');
    assert.deepEqual(keepSecretBefore(file, { given: 'third' }), ['third', 'fourth'], 'back again');
  });

  test('an empty file holds none; what cannot be read is not replaced', () => {
    const empty = path.join(folder, 'empty');
    writeFileSync(empty, '\n');
    assert.equal(keepSecret(empty).isNew, true);
    const unreadable = path.join(folder, 'unreadable');
    mkdirSync(unreadable);
    assert.throws(() => keepSecret(unreadable), { code: 'EISDIR' });
    assert.ok(statSync(unreadable).isDirectory());
  });
});
