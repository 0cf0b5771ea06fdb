/** Messages of BuildKit as an engine sent them, and as nobody should. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { stepOf } from '../../../workers/adapters/docker-buildkit.ts';
import { fieldOf, fieldsIn, readTrace } from '../../../workers/adapters/docker-trace.ts';

const text = (number: number, value: string) => fieldOf(number, Buffer.from(value));
const message = (...fields: Uint8Array[]) => Buffer.concat(fields).toString('base64');

suite('what BuildKit tells', () => {
  test('a vertex that has begun, as an engine of version 20.10 sends it', () => {
    const sent =
      'Cn0KR3NoYTI1NjpjNGJjNGMzM2UzMmExYjY2Mjg0YmFjZDkxNTBiM2IzNWE0MTQ3OTdmMjQ2MDMxMTQzNWIyYzQ4NjFmYWFh' +
      'MzczGiRbaW50ZXJuYWxdIGxvYWQgcmVtb3RlIGJ1aWxkIGNvbnRleHQqDAj2gp7YBhCEpouwAg==';
    assert.deepEqual(readTrace(sent), {
      vertexes: [
        {
          digest: 'sha256:c4bc4c33e32a1b66284bacd9150b3b35a414797f2460311435b2c4861faaa373',
          name: '[internal] load remote build context',
          isCached: false,
          isStarted: true,
          isCompleted: false,
          error: '',
        },
      ],
      logs: [],
      warnings: [],
    });
  });

  test('output, errors and warnings', () => {
    const log = fieldOf(
      3,
      Buffer.concat([text(1, 'd'), fieldOf(2, Buffer.of(8, 1)), Buffer.of(24, 2), text(4, 'größer')]),
    );
    const vertex = fieldOf(
      1,
      Buffer.concat([text(1, 'd'), text(3, 'n'), Buffer.of(32, 1), text(7, 'broke')]),
    );
    const warning = fieldOf(4, Buffer.concat([text(1, 'd'), text(3, 'short')]));
    const trace = readTrace(
      message(log, vertex, warning, Buffer.of(0x29, 1, 2, 3, 4, 5, 6, 7, 8), Buffer.of(0x2d, 1, 2, 3, 4)),
    );
    assert.equal(Buffer.from(trace.logs[0]?.bytes ?? []).toString(), 'größer');
    assert.deepEqual([trace.vertexes[0]?.error, trace.vertexes[0]?.isCached], ['broke', true]);
    assert.deepEqual(trace.warnings, ['short']);
    assert.deepEqual(readTrace(''), { vertexes: [], logs: [], warnings: [] });
  });

  test('bytes that are no message are refused, whatever they are', () => {
    for (const bytes of [
      [0x0a],
      [0x0a, 5, 1],
      [0x80],
      [0x0b],
      [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
    ]) {
      assert.throws(() => readTrace(Buffer.from(bytes).toString('base64')), RangeError);
    }
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), bytes => {
        try {
          readTrace(Buffer.from(bytes).toString('base64'));
        } catch (error) {
          assert.ok(error instanceof RangeError, `${error}`);
        }
      }),
    );
  });

  test('what is written as a field is read again', () => {
    const any = fc.tuple(fc.integer({ min: 1, max: 5_000 }), fc.uint8Array({ maxLength: 400 }));
    fc.assert(
      fc.property(any, ([number, value]) => {
        const [field, ...others] = [...fieldsIn(fieldOf(number, value))];
        assert.deepEqual(
          [field?.[0], Buffer.from(field?.[1] as Uint8Array), others],
          [number, Buffer.from(value), []],
        );
      }),
    );
  });

  test('the instruction that a step is of', () => {
    const stages = [
      { name: 'Build', steps: [2, 4, 5] },
      { name: 'stage-1', steps: [7, 9] },
    ];
    for (const [name, step] of [
      ['[build 2/3] RUN x', 4],
      ['[stage-1 1/2] FROM y', 7],
      ['[build  3/3] COPY a b', 5],
      ['[linux/amd64 build 1/3] FROM x', 2],
      ['[2/2] RUN y', 9],
      ['[internal] load build definition', null],
      ['copy /context /', null],
      ['[other 1/2] RUN z', null],
      ['[build 9/9] RUN z', null],
    ] as const) {
      assert.equal(stepOf(name, { stages }), step, name);
    }
  });
});
