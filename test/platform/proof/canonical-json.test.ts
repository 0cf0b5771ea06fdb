/** RFC 8785: its examples, its numbers (appendix B), and that the form is one of the value and not of its text. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { canonicalJson } from '../../../platform/proof/canonical-json.ts';

suite('canonical JSON', () => {
  test('the example of section 3.2.2', () => {
    const given = String.raw`{
      "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
      "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
      "literals": [null, true, false]
    }`;
    assert.equal(
      canonicalJson(JSON.parse(given)),
      '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],' +
        String.raw`"string":"€$\u000f\nA'B\"\\\\\"/"}`,
    );
  });

  test('the order of section 3.2.3', () => {
    const given = String.raw`{"\u20ac": "Euro Sign", "\r": "Carriage Return", "\ufb33": "Hebrew Letter Dalet With Dagesh",
      "1": "One", "\ud83d\ude00": "Emoji: Grinning Face", "\u0080": "Control", "\u00f6": "Latin Small Letter O With Diaeresis"}`;
    assert.deepEqual(
      Object.values(JSON.parse(canonicalJson(JSON.parse(given)).replace('"1":', '"\\u0031\\u0000":'))),
      [
        'Carriage Return',
        'One',
        'Control',
        'Latin Small Letter O With Diaeresis',
        'Euro Sign',
        'Emoji: Grinning Face',
        'Hebrew Letter Dalet With Dagesh',
      ],
    );
  });

  /** The bits of the number, and how it is written. */
  const numbers: Readonly<Record<string, string>> = {
    '0000000000000000': '0',
    '8000000000000000': '0',
    '0000000000000001': '5e-324',
    '8000000000000001': '-5e-324',
    '7fefffffffffffff': '1.7976931348623157e+308',
    ffefffffffffffff: '-1.7976931348623157e+308',
    '4340000000000000': '9007199254740992',
    c340000000000000: '-9007199254740992',
    '4430000000000000': '295147905179352830000',
    '44b52d02c7e14af5': '9.999999999999997e+22',
    '44b52d02c7e14af6': '1e+23',
    '44b52d02c7e14af7': '1.0000000000000001e+23',
    '444b1ae4d6e2ef4e': '999999999999999700000',
    '444b1ae4d6e2ef4f': '999999999999999900000',
    '444b1ae4d6e2ef50': '1e+21',
    '3eb0c6f7a0b5ed8c': '9.999999999999997e-7',
    '3eb0c6f7a0b5ed8d': '0.000001',
    '41b3de4355555553': '333333333.3333332',
    '41b3de4355555554': '333333333.33333325',
    '41b3de4355555555': '333333333.3333333',
    '41b3de4355555556': '333333333.3333334',
    '41b3de4355555557': '333333333.33333343',
    becbf647612f3696: '-0.0000033333333333333333',
    '43143ff3c1cb0959': '1424953923781206.2',
  };
  for (const [bits, text] of Object.entries(numbers)) {
    test(`the number ${text}`, () => {
      assert.equal(canonicalJson(Buffer.from(bits, 'hex').readDoubleBE(0)), text);
    });
  }

  test('whatever JSON can hold is written once, and read back as the same', () => {
    fc.assert(
      fc.property(fc.jsonValue(), value => {
        const given = JSON.parse(JSON.stringify(value));
        const text = canonicalJson(given);
        assert.deepEqual(JSON.parse(text), given);
        assert.equal(canonicalJson(JSON.parse(text)), text);
        assert.equal(canonicalJson(JSON.parse(JSON.stringify(reversed(given)))), text);
      }),
      { numRuns: 500 },
    );
  });

  test('a value too deep for a function that calls itself', () => {
    const deep = `${'[{"a":'.repeat(100_000)}1${'}]'.repeat(100_000)}`;
    let value: unknown = 1;
    for (let n = 0; n < 100_000; n += 1) value = [{ a: value }];
    assert.equal(canonicalJson(value), deep);
  });

  test('half a surrogate pair is written as an escape; a member may be named as a prototype is', () => {
    assert.equal(
      canonicalJson(JSON.parse(String.raw`{"a":"x\ud800","b":"😀"}`)),
      String.raw`{"a":"x\ud800","b":"😀"}`,
    );
    assert.equal(canonicalJson(JSON.parse('{"__proto__":{"a":1},"A":[]}')), '{"A":[],"__proto__":{"a":1}}');
  });
});

/** The same value with the members of each object the other way round. */
function reversed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reversed);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([name, member]) => [name, reversed(member)]),
  );
}
