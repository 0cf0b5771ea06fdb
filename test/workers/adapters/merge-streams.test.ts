/** Several streams as one. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { mergeStreams } from '../../../workers/adapters/merge-streams.ts';

type Source = {
  readonly stream: AsyncIterable<string>;
  say(word: string): void;
  end(error?: Error): void;
  asked(): number;
};

/** A stream that says what it is told to, and counts how often it was asked for more. */
function source(): Source {
  const words: (string | Error | undefined)[] = [];
  let asked = 0;
  let wake = Promise.withResolvers<void>();
  const tell = (word: string | Error | undefined) => {
    words.push(word);
    wake.resolve();
  };
  async function* stream() {
    for (;;) {
      asked += 1;
      while (words.length === 0) {
        wake = Promise.withResolvers<void>();
        await wake.promise;
      }
      const word = words.shift();
      if (word === undefined) return;
      if (word instanceof Error) throw word;
      yield word;
    }
  }
  return { stream: stream(), say: tell, end: error => tell(error), asked: () => asked };
}

async function allOf(stream: AsyncIterable<string>): Promise<string[]> {
  const words: string[] = [];
  for await (const word of stream) words.push(word);
  return words;
}

suite('streams that are merged', () => {
  test('give what comes as it comes, and end when all have ended', async () => {
    const [a, b] = [source(), source()];
    const merged = mergeStreams([a.stream, b.stream])[Symbol.asyncIterator]();
    b.say('b1');
    assert.deepEqual(await merged.next(), { done: false, value: 'b1' });
    a.say('a1');
    assert.deepEqual(await merged.next(), { done: false, value: 'a1' });
    b.end();
    a.say('a2');
    assert.deepEqual(await merged.next(), { done: false, value: 'a2' });
    a.end();
    assert.equal((await merged.next()).done, true);
  });

  test('are asked for no more than is taken', async () => {
    const [a, b] = [source(), source()];
    for (const word of ['1', '2', '3']) a.say(word);
    const merged = mergeStreams([a.stream, b.stream])[Symbol.asyncIterator]();
    await merged.next();
    assert.equal(a.asked(), 1);
    assert.equal((await merged.next()).value, '2');
    assert.equal(a.asked(), 2);
  });

  test('fail with the first that fails, and are let go when nobody wants more', async () => {
    const [a, b] = [source(), source()];
    a.end(new Error('broken'));
    await assert.rejects(allOf(mergeStreams([a.stream, b.stream])), /broken/);
    const c = source();
    c.say('c1');
    for await (const word of mergeStreams([c.stream])) {
      assert.equal(word, 'c1');
      break;
    }
    assert.equal((await c.stream[Symbol.asyncIterator]().next()).done, true);
    assert.deepEqual(await allOf(mergeStreams([])), []);
  });
});
