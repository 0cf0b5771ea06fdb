import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { readAudit } from '../../platform/audit-config.ts';
import { readWitnesses } from '../../platform/audit-witness-config.ts';
import { keyTypes, newSigner } from '../../platform/proof/note.ts';

suite('settings of the witnesses', () => {
  const { vkey } = newSigner('witness.example', keyTypes.witness);

  test('each kind is read, with what it is by default', () => {
    const witnesses = readWitnesses(
      JSON.stringify({
        archive: { file: '/mnt/worm', everySeconds: 600 },
        notary: { http: 'https://notary.example/x', private: true, tokenFile: '/run/token' },
        city: { witness: 'http://10.0.0.1:8080/add-checkpoint', key: vkey },
        public: { git: 'https://git.example/audit.git', branch: 'audit/log' },
      }),
    );
    assert.deepEqual(
      witnesses.map(({ name, kind, everySeconds }) => [name, kind, everySeconds]),
      [
        ['archive', 'file', 600],
        ['notary', 'http', 0],
        ['city', 'witness', 0],
        ['public', 'git', 60],
      ],
    );
    assert.deepEqual(readAudit({}).witnesses, []);
    assert.equal(readAudit({ APPHUB_AUDIT_WITNESSES: '{"a": {"file": "/a"}}' }).witnesses.length, 1);
  });

  test('what cannot be used is refused, with what would be right', () => {
    const wrong: Record<string, RegExp> = {
      '[]': /must be an object like/,
      '{': /is no JSON/,
      '{"A b": {"file": "/a"}}': /is no name/,
      '{"a": {}}': /must have one of file, http, witness, git/,
      '{"a": null}': /must have one of/,
      '{"a": {"file": "/a", "git": "b"}}': /must have one of/,
      '{"a": {"file": "a"}}': /absolute path/,
      '{"a": {"file": 7}}': /file must be a text/,
      '{"a": {"file": "/a", "everySeconds": -1}}': /everySeconds/,
      '{"a": {"fiel": "/a"}}': /"fiel", which means nothing/,
      '{"a": {"http": "ftp://x"}}': /http or https address/,
      '{"a": {"http": "https://me:secret@x.example/"}}': /without a name and a password/,
      '{"a": {"witness": "https://x.example/"}}': /must have the key/,
      '{"a": {"http": "https://x.example/", "key": "x"}}': /public key/,
      '{"a": {"http": "https://x.example/", "private": "yes"}}': /true or false/,
      '{"a": {"git": "--upload-pack=x"}}': /address of a repository/,
      '{"a": {"git": "/a.git", "branch": "../x"}}': /is no branch/,
    };
    for (const [text, say] of Object.entries(wrong)) assert.throws(() => readWitnesses(text), say, text);
    const many = Object.fromEntries(Array.from({ length: 17 }, (_, n) => [`w${n}`, { file: '/a' }]));
    assert.throws(() => readWitnesses(JSON.stringify(many)), /at most 16/);
  });
});
