/** Who gets which message: the strategies, without a server. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import {
  type Consumer,
  give,
  openStrategy,
  takeBack,
} from '../../../eventstore/embedded/persistent-consumer.ts';
import type { Message } from '../../../eventstore/embedded/persistent-messages.ts';

function consumer(number: number, slots = 100): Consumer {
  return {
    number,
    slots,
    user: '',
    from: '',
    connectionName: '',
    inFlight: new Map(),
    keys: new Map(),
    sinceMs: 0,
    answered: { count: 0, recentMs: [] },
    atMeasurement: 0,
    send: () => undefined,
    drop: () => undefined,
  };
}

let messagesEver = 0;
function message(stream: string, id = `id-${++messagesEver}`): Message {
  const record = { position: 1, stream, revision: 0, id, type: 'T', createdMs: 0, wire: new Uint8Array() };
  const rest = {
    event: undefined,
    before: 0,
    parkedRevision: undefined,
    bytes: 0,
    retries: 0,
    wasSent: false,
  };
  return { number: ++messagesEver, id, record, key: undefined, ...rest };
}

suite('strategies of consumers', () => {
  test('round robin goes on behind the last, past those that are full', () => {
    const { choose } = openStrategy('RoundRobin');
    const all = [consumer(1), consumer(2, 1), consumer(3)];
    const order = Array.from({ length: 6 }, () => {
      const one = message('s');
      const chosen = choose(one, all) as Consumer;
      give(chosen, one);
      return chosen.number;
    });
    assert.deepEqual(order, [1, 2, 3, 1, 3, 1]);
  });

  test('nobody is sent an id that is still open with him', () => {
    const { choose } = openStrategy('DispatchToSingle');
    const [one, two] = [consumer(1), consumer(2)];
    give(one, message('a', 'same'));
    assert.equal(choose(message('b', 'same'), [one, two]), two);
    assert.equal(choose(message('b', 'same'), [one]), undefined);
    assert.equal(choose(message('b', 'other'), [one, two]), one);
  });

  test('pinned: who has a stream in work keeps it while another comes, and only his streams move when he goes', () => {
    const { choose, overtakes } = openStrategy('Pinned');
    assert.equal(overtakes, true);
    const streams = Array.from({ length: 200 }, (_, n) => `stream-${n}`);
    const [one, two, three] = [consumer(1, 1_000), consumer(2, 1_000), consumer(3, 1_000)];
    const before = new Map<string, number | undefined>();
    const open: { holder: Consumer; id: string }[] = [];
    for (const stream of streams) {
      const asked = message(stream);
      const holder = choose(asked, [one, two]) as Consumer;
      give(holder, asked);
      open.push({ holder, id: asked.id });
      before.set(stream, holder.number);
    }
    for (const one of [1, 2]) assert.ok([...before.values()].filter(n => n === one).length > 50);
    for (const stream of streams)
      assert.equal(choose(message(stream), [one, two, three])?.number, before.get(stream), stream);
    for (const { holder, id } of open) takeBack(holder, id);
    const moved = streams.filter(stream => {
      const now = choose(message(stream), [one, two, three])?.number;
      assert.ok(now === 3 || now === before.get(stream));
      return now === 3;
    });
    assert.ok(moved.length > 30 && moved.length < 110, `${moved.length}`);
    for (const stream of streams) {
      const now = choose(message(stream), [one, three])?.number;
      if (before.get(stream) === 1 && !moved.includes(stream)) assert.equal(now, 1);
    }
  });

  test('a full holder keeps his stream waiting', () => {
    const { choose } = openStrategy('Pinned');
    const [one, two] = [consumer(1, 1), consumer(2, 1)];
    const first = message('s');
    const holder = choose(first, [one, two]) as Consumer;
    give(holder, first);
    assert.equal(choose(message('s'), [one, two]), undefined);
    takeBack(holder, first.id);
    assert.equal(choose(message('s'), [one, two]), holder);
  });
});
