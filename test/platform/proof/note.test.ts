/** Signed notes against those of Go's golang.org/x/mod/sumdb/note, and what is none. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { parseCheckpoint, signCheckpoint } from '../../../platform/proof/checkpoint.ts';
import {
  cosign,
  keyTypes,
  NoteError,
  newSigner,
  parseNote,
  parseSignatures,
  readSigner,
  readVerifier,
  signNote,
  verifyNote,
} from '../../../platform/proof/note.ts';

const skey = 'PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz';
const vkey = 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW';
const words =
  "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
const signed = `${words}
— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=
`;

suite('notes', () => {
  test('the note of the Go package: the same keys, the same signature', () => {
    const signer = readSigner(skey);
    assert.equal(signer.vkey, vkey);
    assert.equal(signer.skey, skey);
    assert.equal(signNote(words, signer), signed);
    const note = parseNote(signed);
    assert.equal(note.text, words);
    assert.deepEqual(
      verifyNote(note, [readVerifier(vkey)]).map(({ by, at }) => [by.id, at]),
      [['c74f20a3', null]],
    );
  });

  test('unknown signatures are passed over, a wrong one of a known key is not', () => {
    const [log, other] = [newSigner('log.example/a'), newSigner('log.example/a')];
    const note = parseNote(signNote('text\n', other, log));
    assert.deepEqual(
      verifyNote(note, [log]).map(({ by }) => by.id),
      [log.id],
    );
    assert.deepEqual(verifyNote(note, [newSigner('log.example/a')]), []);
    assert.throws(() => verifyNote({ ...note, text: 'texT\n' }, [log]), NoteError);
    const [first] = note.signatures;
    const swapped = { ...note, signatures: [{ ...(first as object), id: log.id } as never] };
    assert.throws(() => verifyNote(swapped, [log]), NoteError);
  });

  test('a witness signs the text and a time', () => {
    const [log, witness] = [newSigner('log.example/a'), newSigner('witness.example/w', keyTypes.witness)];
    const note = signNote('log.example/a\n0\nx\n', log);
    const whole = parseNote(note + cosign(parseNote(note).text, witness, 1_679_315_147));
    const found = verifyNote(whole, [readVerifier(log.vkey), readVerifier(witness.vkey)]);
    assert.deepEqual(
      found.map(({ by, at }) => [by.name, at]),
      [
        ['log.example/a', null],
        ['witness.example/w', 1_679_315_147],
      ],
    );
    const [line] = parseSignatures(cosign('other\n', witness, 1));
    assert.throws(() => verifyNote({ ...whole, signatures: [line as never] }, [witness]), NoteError);
  });

  test('keys go through their text, and no other text is a key', () => {
    const signer = newSigner('apphub.example/log');
    assert.equal(readSigner(signer.skey).vkey, signer.vkey);
    assert.equal(readVerifier(signer.vkey).id, signer.id);
    const broken = [
      vkey.replace('c74f', 'c74e'),
      vkey.replace('+ARp', '+BRp'),
      'a+b',
      '',
      `${vkey}x`,
      vkey.slice(0, -4),
    ];
    for (const text of broken) assert.throws(() => readVerifier(text), NoteError, text);
    for (const text of [skey.replace('c74f', 'c74e'), vkey, ''])
      assert.throws(() => readSigner(text), NoteError);
    for (const name of ['', 'a b', 'a+b', 'a\u00a0b', 'a\nb'])
      assert.throws(() => newSigner(name), NoteError);
  });

  test('what is no note', () => {
    for (const text of [
      '',
      words,
      signed.slice(0, -1),
      signed.replace('— ', '- '),
      signed.replace('x08g', 'x08'),
      signed.replace('think', 'th\u0007nk'),
      `${words}\n`,
    ])
      assert.throws(() => parseNote(text), NoteError, JSON.stringify(text));
    assert.throws(() => signNote('no newline', newSigner('a')), NoteError);
  });
});

suite('checkpoints', () => {
  const signer = newSigner('apphub.example/log');
  const root = Buffer.alloc(32, 7);
  const head = { origin: signer.name, size: 1_200, root, position: 480_123n, chain: Buffer.alloc(32, 9) };

  test('say origin, size, root, position, chain and time, and are read back', () => {
    const { note, ...made } = signCheckpoint({ ...head, time: '2026-01-02T03:04:05.678Z' }, signer);
    assert.equal(
      note.split('\n\n')[0],
      [
        'apphub.example/log',
        '1200',
        root.toString('base64'),
        'position 480123',
        `chain ${head.chain.toString('base64')}`,
        'time 2026-01-02T03:04:05.678Z',
      ].join('\n'),
    );
    const { note: again, ...read } = parseCheckpoint(note);
    assert.deepEqual([again, read], [note, made]);
  });

  test('of other logs, with lines that nobody here knows', () => {
    const text = `other.example/log\n0\n${root.toString('base64')}\nsomething else\n`;
    const { size, position, chain, time } = parseCheckpoint(signNote(text, newSigner('other.example/log')));
    assert.deepEqual([size, position, chain, time], [0, null, null, null]);
  });

  test('what is none', () => {
    const broken = ['01', '-1', '1.5', '9'.repeat(17), 'x', ''].map(
      size => `o\n${size}\n${root.toString('base64')}\n`,
    );
    for (const text of [...broken, 'o\n1\nAAAA\n', 'o\n1\n', `o\n1\n${root.toString('base64')}\nchain x\n`])
      assert.throws(() => parseCheckpoint(signNote(text, signer)), NoteError, text);
  });

  test('any change of the text is noticed', () => {
    const { note } = signCheckpoint({ ...head, time: null }, signer);
    fc.assert(
      fc.property(fc.nat({ max: note.indexOf('\n\n') }), fc.integer({ min: 33, max: 126 }), (at, code) => {
        const changed = note.slice(0, at) + String.fromCharCode(code) + note.slice(at + 1);
        fc.pre(changed !== note);
        assert.throws(() => verifyNote(parseCheckpoint(changed).parsed, [signer]), NoteError);
      }),
    );
  });
});
