import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isMaskable, maskedCharsMin, maskSecrets } from '../../platform/mask.ts';

const secret = 'hunter2/and+more';

test('a value is masked wherever it stands, and nothing else is touched', () => {
  const mask = maskSecrets([secret]);
  assert.equal(mask(`one ${secret} two ${secret}!`), 'one *** two ***!');
  assert.equal(mask('nothing of it'), 'nothing of it');
  assert.equal(mask(''), '');
});

test('a value is masked as tools print it', () => {
  const mask = maskSecrets(['päss "word"/+ ünd']);
  const forms = [
    encodeURIComponent('päss "word"/+ ünd'),
    encodeURIComponent('päss "word"/+ ünd').toLowerCase(),
    new URLSearchParams({ a: 'päss "word"/+ ünd' }).toString().slice(2),
    JSON.stringify('päss "word"/+ ünd').slice(1, -1),
    Buffer.from('päss "word"/+ ünd').toString('base64'),
    Buffer.from('päss "word"/+ ünd').toString('base64url'),
    Buffer.from('päss "word"/+ ünd').toString('hex'),
    Buffer.from('päss "word"/+ ünd').toString('hex').toUpperCase(),
  ];
  for (const form of forms) assert.match(mask(`<${form}>`), /^<\*\*\*=*>$/, form);
});

test('a value is found inside of a longer text in base64, at each of the three places it may have', () => {
  const mask = maskSecrets([secret]);
  for (const user of ['u', 'us', 'use', 'user']) {
    const line = `Authorization: Basic ${Buffer.from(`${user}:${secret}:tail`).toString('base64')}`;
    assert.match(mask(line), /^Authorization: Basic [^*]{2,8}\*\*\*[^*]{2,10}$/);
  }
});

test('of a value with several lines each one is masked, and the whole where it stands in one line', () => {
  const key = `-----BEGIN KEY-----\n${'abcdefgh'.repeat(12)}\nshort\nlast-line\n`;
  const mask = maskSecrets([key]);
  for (const line of key.trim().split('\n')) {
    assert.equal(mask(`  ${line}`), line === 'short' ? '  short' : '  ***');
  }
  assert.equal(mask(JSON.stringify({ key: key.trim() })), '{"key":"***"}');
  const encoded = Buffer.from(key.trim()).toString('base64');
  assert.equal(mask(encoded), '***');
  for (const line of encoded.match(/.{76}/g) ?? []) assert.equal(mask(line), '***');
  for (const line of encoded.match(/.{64}/g) ?? []) assert.equal(mask(line), '***');
});

test('a secret that a line breaks off in is masked as far as it goes', () => {
  const mask = maskSecrets([secret]);
  assert.equal(mask(`x ${secret.slice(0, 12)}`), 'x ***');
  assert.equal(mask(`x ${secret.slice(0, 5)}`), `x ${secret.slice(0, 5)}`);
});

test('what is too short is not masked, and whoever takes it can know', () => {
  assert.equal(maskSecrets(['short', ''])('a short line'), 'a short line');
  assert.equal(maskSecrets([])('a line'), 'a line');
  assert.equal(isMaskable('12345'), false);
  assert.equal(isMaskable('123456'), true);
  assert.equal(isMaskable('      12345      '), false);
  assert.equal(isMaskable('123\n456\n'), false);
  assert.equal(isMaskable('123\n456789'), true);
});

test('longest first, and what overlaps is masked as a whole', () => {
  assert.equal(maskSecrets(['abcdef', 'abcdefghi'])('-abcdefghi-'), '-***-');
  assert.equal(maskSecrets(['abcdef', 'defghi'])('-abcdefghi-'), '-***-');
  assert.equal(maskSecrets(['cdefgh', 'abcdefghij'])('-abcdefghij-abcdefghi.'), '-***-ab***i.');
});

test('half a surrogate pair, line ends of Windows and NUL do not disturb', () => {
  assert.equal(maskSecrets(['\ud800abcdefg'])('x'), 'x');
  assert.equal(maskSecrets(['first-line\r\nsecond-line\r\n'])('a second-line'), 'a ***');
  assert.equal(maskSecrets(['with\0nul'])('a with\0nul b'), 'a *** b');
});

/** Letters few enough that values overlap with themselves, each other and the text around them. */
const word = (minLength: number, maxLength: number) =>
  fc.string({ unit: fc.constantFrom('a', 'b', 'c'), minLength, maxLength });

test('for any values and any line: exactly what they cover is masked', () => {
  fc.assert(
    fc.property(fc.array(word(0, 9), { maxLength: 4 }), word(0, 60), (values, line) => {
      // A line end keeps the rule about broken-off values out of this.
      assert.equal(maskSecrets(values)(`${line}.`), maskedSlowly(values, `${line}.`));
    }),
    { numRuns: 2_000 },
  );
});

function maskedSlowly(values: readonly string[], line: string): string {
  const isCovered = Array.from(line, () => false);
  for (const value of values.filter(({ length }) => length >= maskedCharsMin)) {
    for (let at = line.indexOf(value); at >= 0; at = line.indexOf(value, at + 1)) {
      isCovered.fill(true, at, at + value.length);
    }
  }
  let masked = '';
  for (const [at, char] of Array.from(line).entries()) {
    if (!isCovered[at]) masked += char;
    else if (!isCovered[at - 1]) masked += '***';
  }
  return masked;
}

test('for any text and any form of it: nothing of the form is left', () => {
  const any = fc.string({ unit: 'binary', minLength: 6, maxLength: 40 });
  const values = any.filter(value => isMaskable(value) && !value.includes('*'));
  fc.assert(
    fc.property(
      values,
      fc.string({ unit: fc.constantFrom('0', ' ', '/'), maxLength: 5 }),
      (value, around) => {
        const mask = maskSecrets([value]);
        for (const line of value.split(/[\r\n]+/).map(one => one.trim().toWellFormed())) {
          if (line.length < maskedCharsMin) continue;
          for (const form of [line, encodeURIComponent(line), Buffer.from(line).toString('base64')]) {
            const masked = mask(`${around}${form}.`);
            assert.ok(!masked.includes(form), masked);
            assert.ok(masked.includes('***'), masked);
          }
        }
      },
    ),
  );
});

test('a million characters that nearly match at each place are one walk', () => {
  const mask = maskSecrets([`${'a'.repeat(4_000)}b`, `${'a'.repeat(3_000)}c`]);
  const line = 'a'.repeat(1_000_000);
  assert.equal(mask(`${line}d`), `${line}d`);
  assert.equal(mask(`${line}b`), `${'a'.repeat(996_000)}***`);
});
