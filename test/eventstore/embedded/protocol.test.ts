/** What clients seldom send: unknown methods, broken messages, deadlines, too much at once. */
import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { EventStoreDBClient, jsonEvent, MaxAppendSizeExceededError } from '@eventstore/db-client';
import { message, nested, string, uint as uuidHalf } from '../../../eventstore/embedded/codec.ts';
import {
  appendRequest,
  batchAppendRequest,
  batchAppendResponse,
  readRequest,
  uuid,
} from '../../../eventstore/embedded/codec-streams.ts';
import { memoryStorage } from '../../../eventstore/embedded/memory-storage.ts';
import { type LogServer, startLogServer } from '../../../eventstore/embedded/server.ts';
import { rawClient } from './raw-client.ts';

const streams = '/event_store.client.streams.Streams';
const type = new Map([
  ['type', 'Tested'],
  ['content-type', 'application/json'],
]);
const proposed = () => ({ id: { text: crypto.randomUUID() }, metadata: type, data: Buffer.from('{}') });

suite('protocol', () => {
  let server: LogServer;
  let client: ReturnType<typeof rawClient>;

  before(async () => {
    server = await startLogServer({ storage: memoryStorage(), port: 0 });
    client = rawClient(server.port);
  });
  after(async () => {
    client.close();
    await server.close();
  });

  const append = (
    options: Parameters<typeof appendRequest.frame>[0]['options'],
    event: object = proposed(),
  ) =>
    client.call(`${streams}/Append`, [
      appendRequest.frame({ options }),
      appendRequest.frame({ proposed: event } as never),
    ]);

  test('what is unknown is UNIMPLEMENTED', async () => {
    assert.equal((await client.call(`${streams}/Rewrite`, [])).status, 12);
    assert.equal((await client.call('/event_store.client.projections.Projections/Create', [])).status, 12);
    assert.equal((await client.call('/', [])).status, 12);
  });

  test('bad input is INVALID_ARGUMENT', async () => {
    const bad = [
      client.call(`${streams}/Read`, []),
      client.call(`${streams}/Read`, [Buffer.from([0, 0, 0, 0, 2, 0x0a, 0x7f])]),
      client.call(`${streams}/Read`, [readRequest.frame({})]),
      client.call(`${streams}/Read`, [readRequest.frame({ options: { all: { start: {} } } })]),
      client.call(`${streams}/Read`, [
        readRequest.frame({ options: { all: {}, count: 1, filter: { eventType: { regex: '(' } } } }),
      ]),
      client.call(`${streams}/Append`, []),
      append({ any: {} }),
      append({ stream: { name: '' }, any: {} }),
      append({ stream: { name: '$$$$x' }, any: {} }),
      append({ stream: { name: 'x' } }),
      append({ stream: { name: 'x' }, any: {} }, { ...proposed(), id: { text: 'no-uuid' } }),
      client.call(`${streams}/BatchAppend`, [batchAppendRequest.frame({ isFinal: true })]),
    ];
    for (const [i, answer] of (await Promise.all(bad)).entries()) assert.equal(answer.status, 3, `case ${i}`);
    const missing = await append({ stream: { name: 'x' }, any: {} }, { ...proposed(), metadata: new Map() });
    assert.equal(missing.trailers.exception, 'missing-required-metadata-property');
    assert.equal(missing.trailers['required-metadata-properties'], 'type,content-type');
  });

  test('there is nothing forwards from the end, nor backwards from the start', async () => {
    await append({ stream: { name: 'ends' }, any: {} });
    const stream = { stream: { name: 'ends' } };
    for (const [direction, outside, inside] of [
      [0, 'end', 'start'],
      [1, 'start', 'end'],
    ] as const) {
      for (const [from, found] of [
        [outside, false],
        [inside, true],
      ] as const) {
        const ofStream = { direction, stream: { ...stream, [from]: {} }, count: 1 };
        const ofAll = { direction, all: { [from]: {} }, count: 1 };
        for (const options of [ofStream, ofAll]) {
          const { messages } = await client.call(`${streams}/Read`, [readRequest.frame({ options })]);
          assert.equal(messages.length, found ? 1 : 0, `${direction} from ${from}`);
        }
      }
    }
  });

  test('a pattern cannot keep the server from its other work', async () => {
    const name = 'a'.repeat(60);
    await append({ stream: { name }, any: {} });
    const read = (regex: string) =>
      client.call(`${streams}/Read`, [
        readRequest.frame({ options: { all: { start: {} }, count: 100, filter: { stream: { regex } } } }),
      ]);
    // Each would take longer than anybody lives, if it were tried in every way.
    for (const regex of ['^(a+)+$', '^(a|aa)*b$', '^a*a*a*a*a*b$', '^((a{1,60}){1,60}){1,60}c$']) {
      const { status, messages } = await read(regex);
      assert.ok(status === 0 || status === 3, regex);
      if (status === 0) assert.equal(messages.length, regex === '^(a+)+$' ? 1 : 0, regex);
    }
    for (const regex of ['^(a)\\1+(a+)+$', '^(?!x)(a+)+$'])
      assert.equal((await read(regex)).status, 3, regex);
    for (const regex of ['^(?!\\$)a{60}$', '^\\p{L}{60}$', '^(?:a|b)*$', '^[a]+$'])
      assert.equal((await read(regex)).messages.length, 1, regex);
  });

  test('a deadline ends a call that would go on', async () => {
    const forever = readRequest.frame({ options: { all: { start: {} }, subscription: {} } });
    const answer = await client.call(`${streams}/Read`, [forever], { 'grpc-timeout': '50m' });
    assert.equal(answer.status, 4);
  });

  test('a batch whose deadline has passed is answered once, and nothing is stored', async () => {
    const part = (isFinal: boolean) => ({
      correlation: { text: correlation },
      proposed: [proposed()],
      isFinal,
    });
    const correlation = crypto.randomUUID();
    const options = { stream: { name: 'late-1' }, any: {}, deadline: { seconds: 1 } };
    const answer = await client.call(`${streams}/BatchAppend`, [
      batchAppendRequest.frame({ ...part(false), options }),
      batchAppendRequest.frame(part(false)),
      batchAppendRequest.frame(part(true)),
    ]);
    assert.equal(answer.status, 0);
    const [only, ...others] = answer.messages.map(batchAppendResponse.decode);
    assert.equal(others.length, 0);
    assert.equal(only?.error?.code, 4);
    assert.match(only?.error?.details?.typeUrl ?? '', /event_store\.client\.Timeout$/);
    assert.equal(only?.stream?.name, 'late-1');
    const read = readRequest.frame({ options: { stream: { stream: { name: 'late-1' } }, count: 1 } });
    const { messages } = await client.call(`${streams}/Read`, [read]);
    assert.equal(messages[0]?.[0], 0x22, 'stream not found');
  });

  test('appends in several messages, interleaved, are answered by their correlation', async () => {
    const [a, b] = [crypto.randomUUID(), crypto.randomUUID()];
    const first = (name: string) => ({ stream: { name }, noStream: {} });
    const frames = [
      { correlation: { text: a }, options: first('inter-a'), proposed: [proposed()], isFinal: false },
      { correlation: { text: b }, options: first('inter-b'), proposed: [], isFinal: false },
      { correlation: { text: b }, proposed: [proposed()], isFinal: true },
      { correlation: { text: a }, proposed: [proposed(), proposed()], isFinal: true },
    ].map(batchAppendRequest.frame);
    const answer = await client.call(`${streams}/BatchAppend`, frames);
    const answers = answer.messages.map(batchAppendResponse.decode);
    assert.deepEqual(
      answers.map(({ correlation, success }) => [correlation?.text, success?.revision]),
      [
        [b, 0],
        [a, 2],
      ],
    );
  });

  test('too much in one append is refused by its size', async () => {
    const official = EventStoreDBClient.connectionString(`esdb://127.0.0.1:${server.port}?tls=false`);
    const large = jsonEvent({ type: 'Large', data: { text: 'x'.repeat(1024 * 1024) } });
    await assert.rejects(
      official.appendToStream('large', large),
      (error: unknown) => error instanceof MaxAppendSizeExceededError && error.maxAppendSize === 1024 * 1024,
    );
    await assert.rejects(
      official.appendToStream('large', large, { credentials: { username: 'a', password: 'b' } }),
      MaxAppendSizeExceededError,
    );
    const many = Array.from({ length: 60_000 }, (_, n) => jsonEvent({ type: 'Small', data: { n } }));
    await assert.rejects(official.appendToStream('large', many), MaxAppendSizeExceededError);
    await official.dispose();
  });

  test('ids may be asked for as two numbers', async () => {
    const id = 'ffffffff-0000-4000-8000-00000000abcd';
    await append({ stream: { name: 'ids' }, any: {} }, { ...proposed(), id: { text: id } });
    const options = { stream: { stream: { name: 'ids' } }, count: 1, uuids: { structured: {} } };
    const { messages } = await client.call(`${streams}/Read`, [readRequest.frame({ options })]);
    const event = message({ id: nested(1, uuid), stream: nested(2, message({ name: string(3) })) });
    const response = message({ event: nested(1, message({ event: nested(1, event) })) });
    const found = response.decode(messages[0] as Buffer).event?.event;
    assert.equal(found?.stream?.name, 'ids');
    assert.equal(found?.id?.text, undefined);
    const structured = message({ most: uuidHalf(1), least: uuidHalf(2) }).decode(
      found?.id?.structured as Buffer,
    );
    assert.equal(structured.most, Number(0xffffffff00004000n));
    assert.equal(structured.least, Number(0x800000000000abcdn));
  });

  test('a client that discovers its cluster finds this node', async () => {
    const official = EventStoreDBClient.connectionString(
      `esdb+discover://127.0.0.1:${server.port}?tls=false&nodePreference=leader`,
    );
    const { success } = await official.appendToStream('discovered', jsonEvent({ type: 'Tested', data: {} }));
    assert.equal(success, true);
    await official.dispose();
  });
});
