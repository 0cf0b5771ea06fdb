/** The stream over a real WebSocket: filters, resuming, who may see what, slow clients, and the end of the server. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { after, suite, test } from 'node:test';
import fc from 'fast-check';
import { type ClientOptions, WebSocket } from 'ws';
import type { Metadata, Recorded } from '../../../domain/events.ts';
import { everyContext } from '../../../domain/events.ts';
import { memoryStore } from '../../../eventstore/memory.ts';
import { anonymous } from '../../../platform/auth.ts';
import { matches, maySee, parseFilter, prefixesOf } from '../../../read-api/events/filter.ts';
import { operatorToken, startApi } from '../../support/api.ts';
import { ingest } from '../../support/play.ts';

const repoUrl = 'https://git.example/team/app.git';
const metadata: Metadata = {
  actor: 'ann',
  correlationId: 'c',
  causationId: 'd',
  time: '2026-01-02T03:04:05.000Z',
};

type Frame = {
  kind: 'event' | 'caughtUp' | 'heartbeat';
  position: string;
  event: {
    position: string;
    type: string;
    stream: string;
    id: string;
    data: Record<string, unknown>;
    actor: string;
  };
};

/** A client that keeps every frame. Waits for conditions, never for time. */
function follow(url: string, query = '', options: ClientOptions & { protocols?: string[] } = {}) {
  const { protocols = [], ...rest } = options;
  const headers = { authorization: `Bearer ${operatorToken}` };
  const socket = new WebSocket(`${url.replace('http', 'ws')}/stream${query}`, protocols, {
    headers,
    ...rest,
  });
  const frames: Frame[] = [];
  let changed = Promise.withResolvers<void>();
  const wake = () => {
    changed.resolve();
    changed = Promise.withResolvers<void>();
  };
  const closed = new Promise<{ code: number; reason: string }>(resolve =>
    socket.once('close', (code, reason) => resolve({ code, reason: reason.toString() })),
  );
  const refused = new Promise<{ status: number; body: Record<string, unknown>; type: string | undefined }>(
    resolve =>
      socket.once('unexpected-response', (_request, answer) => {
        let text = '';
        answer.setEncoding('utf8').on('data', (part: string) => {
          text += part;
        });
        answer.on('end', () =>
          resolve({
            status: answer.statusCode ?? 0,
            body: JSON.parse(text),
            type: answer.headers['content-type'],
          }),
        );
      }),
  );
  socket.on('error', () => undefined);
  socket.on('message', data => {
    frames.push(JSON.parse(String(data)));
    wake();
  });
  const until = async (isThere: () => boolean) => {
    while (!isThere()) await changed.promise;
  };
  return {
    socket,
    frames,
    closed,
    refused,
    opened: once(socket, 'open'),
    until,
    events: () => frames.flatMap(({ kind, event }) => (kind === 'event' ? [event] : [])),
    caughtUp: () => until(() => frames.some(({ kind }) => kind === 'caughtUp')),
    close: async () => {
      socket.close();
      await closed;
    },
  };
}

suite('stream', async () => {
  const api = await startApi({ tokens: { 'stream-only': ['stream:read'], 'no-stream': ['apps:read'] } });
  after(() => api.close());
  const register = (id: string) => api.write('POST', '/apps', { id, name: 'A', repoUrl });

  test('from the start: everything there was, then the mark that it was all, then what comes', async () => {
    await register('before');
    const client = follow(api.url, '?from=start');
    await client.caughtUp();
    assert.equal(client.frames.at(-1)?.kind, 'caughtUp');
    const { position } = await register('live');
    await client.until(() => client.events().some(event => event.stream === 'apps.repository-live'));
    const event = client.events().at(-1);
    assert.deepEqual(Object.keys(event ?? {}).sort(), [
      'actor',
      'at',
      'causationId',
      'correlationId',
      'data',
      'id',
      'position',
      'revision',
      'stream',
      'type',
    ]);
    assert.deepEqual(
      [event?.position, event?.type, event?.actor],
      [position, 'RepositoryRegistered', 'operator'],
    );
    assert.equal(event?.data.appId, 'live');
    await client.close();
  });

  test('without from: what comes after what the tables hold, so that a page misses nothing', async () => {
    const { position } = await register('now-one');
    await api.read('/apps/now-one');
    const client = follow(api.url);
    await client.caughtUp();
    await register('now-two');
    await client.until(() => client.events().length > 0);
    assert.equal(client.events()[0]?.stream, 'apps.repository-now-two');
    assert.ok(BigInt(client.events()[0]?.position ?? 0) > BigInt(position));
    await client.close();
  });

  test('types and beginnings of streams, several of each, and both together', async () => {
    const { position } = await register('filtered');
    await ingest(api, 'filtered');
    await api.write('POST', '/apps/filtered/tags', { key: 'a', value: 'b' });
    await register('filtered-not');
    const seen = async (query: string) => {
      const client = follow(api.url, `?from=${BigInt(position) - 1n}&${query}`);
      await client.caughtUp();
      await client.close();
      return client.events().map(({ type }) => type);
    };
    const every = [
      'RepositoryRegistered',
      'IngestionQueued',
      'IngestionStarted',
      'IngestionSucceeded',
      'RepositoryTagged',
      'RepositoryRegistered',
    ];
    assert.deepEqual(await seen(''), every);
    assert.deepEqual(await seen('types=*'), every);
    assert.deepEqual(await seen('types=IngestionQueued,Repository*'), [
      every[0],
      every[1],
      every[4],
      every[5],
    ]);
    assert.deepEqual(await seen('types=IngestionQueued&types=RepositoryTagged'), [every[1], every[4]]);
    assert.deepEqual(await seen('streams=apps.ingestion-filtered'), every.slice(1, 4));
    assert.deepEqual(await seen('streams=apps.ingestion-filtered,apps.repository-filtered-not'), [
      ...every.slice(1, 4),
      every[5],
    ]);
    assert.deepEqual(await seen('streams=app&types=IngestionS*'), ['IngestionStarted', 'IngestionSucceeded']);
    assert.deepEqual(await seen('types=Nothing'), []);
  });

  test('cut off anywhere, while more is written, and resumed: every event once, in order', async () => {
    const first = await register('resumed');
    const total = 240;
    const writing = (async () => {
      for (let at = 0; at < total; at += 1)
        await api
          .write('POST', '/apps/resumed/tags', { key: `k${at % 2}`, value: `v${at}` })
          .catch(() => undefined);
    })();
    const seen: Frame['event'][] = [];
    let from = first.position;
    for (let cut = 1; seen.length < 199; cut += 1) {
      const client = follow(api.url, `?from=${from}&streams=apps.repository-resumed&types=RepositoryTagged`);
      await client.until(
        () => client.events().length >= (cut % 7) + 1 || seen.length + client.events().length >= 199,
      );
      client.socket.terminate();
      await client.closed;
      // Nothing that arrived after the cut was decided on is lost either: it is simply not asked for again.
      seen.push(...client.events());
      from = seen.at(-1)?.position ?? from;
    }
    await writing;
    const revisions = seen.map(event => Number((event as unknown as { revision: string }).revision));
    assert.deepEqual(
      revisions,
      revisions.map((_, at) => at + 1),
    );
    assert.equal(new Set(seen.map(({ id }) => id)).size, seen.length);
  });

  test('a stream is for those who may follow it, and shows each what it may see', async () => {
    const cases: [string, ClientOptions & { protocols?: string[] }, number, string][] = [
      ['', { headers: {} }, 401, 'unauthorized'],
      ['', { headers: { authorization: 'Bearer nobody' } }, 401, 'unauthorized'],
      [`?token=${operatorToken}&access_token=${operatorToken}`, { headers: {} }, 401, 'unauthorized'],
      ['', { headers: { authorization: 'Bearer no-stream' } }, 403, 'forbidden'],
      ['', { headers: {}, protocols: ['apphub', 'bearer.nobody'] }, 401, 'unauthorized'],
      ['', { origin: 'https://evil.example' }, 403, 'foreign-origin'],
      ['', { origin: 'null' }, 403, 'foreign-origin'],
      ['', { origin: api.url.replace('127.0.0.1', 'a.localhost') }, 403, 'foreign-origin'],
    ];
    for (const [query, options, status, code] of cases) {
      const answer = await follow(api.url, query, options).refused;
      assert.deepEqual([answer.status, answer.body.code, answer.body.status], [status, code, status]);
      assert.equal(answer.type, 'application/problem+json');
    }
    await register('unseen');
    const blind = follow(api.url, '?from=start', { headers: { authorization: 'Bearer stream-only' } });
    await blind.caughtUp();
    assert.deepEqual(blind.events(), [], 'it may follow, but may read no app');
    await blind.close();
  });

  test('a page brings its token as a subprotocol, which is not said back', async () => {
    const client = follow(api.url, '?from=start', {
      headers: {},
      protocols: ['apphub', `bearer.${operatorToken}`],
      origin: api.url,
    });
    await client.opened;
    assert.equal(client.socket.protocol, 'apphub');
    await client.caughtUp();
    await client.close();
  });

  test('a filter or a position that cannot be meant is named', async () => {
    const wrong: [string, string][] = [
      ['from=x', 'from'],
      ['from=-1', 'from'],
      ['from=1.5', 'from'],
      ['from=', 'from'],
      [`from=${'9'.repeat(20)}`, 'from'],
      ['types=a-b', 'types'],
      ['types=*x', 'types'],
      ['types=%00', 'types'],
      [`types=${'T'.repeat(201)}`, 'types'],
      [`types=${Array.from({ length: 33 }, (_, at) => `T${at}`).join()}`, 'types'],
      ['streams=$all', 'streams'],
      ['streams=$ce-apps', 'streams'],
      ['streams=idempotency-', 'streams'],
      ['streams=apps.build-,nothing', 'streams'],
      ['streams=*', 'streams'],
      ['streams=apps%0Ax', 'streams'],
    ];
    for (const [query, field] of wrong) {
      const { status, body } = await follow(api.url, `?${query}`).refused;
      assert.deepEqual([status, body.code], [400, 'invalid'], query);
      assert.equal((body.errors as { field: string }[])[0]?.field, field, query);
    }
  });

  test('plain HTTP is told that this is a WebSocket', async () => {
    const answer = await api.ask('GET', '/stream');
    assert.deepEqual(
      [answer.status, answer.body.code, answer.headers.get('upgrade')],
      [426, 'upgrade-required', 'websocket'],
    );
  });

  test('a client that sends is let go, and so is one that breaks the protocol', async () => {
    const big = follow(api.url);
    await big.opened;
    big.socket.send('x'.repeat(2_000));
    assert.equal((await big.closed).code, 1009);
    const socket = connect(api.port, '127.0.0.1');
    socket.write(
      'GET /stream HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n' +
        `sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\nauthorization: Bearer ${operatorToken}\r\n\r\n`,
    );
    await once(socket, 'data');
    socket.write(Buffer.from([0xff, 0xff, 0xff, 0xff]));
    socket.resume();
    await once(socket, 'close');
    const { socket: fine, ...rest } = follow(api.url, '?from=start');
    await rest.caughtUp();
    fine.terminate();
  });
});

suite('stream under load', () => {
  test('a client that reads nothing is told where to resume, and costs no more than a little memory', async () => {
    const store = memoryStore();
    const text = 'x'.repeat(100_000);
    for (let at = 0; at < 400; at += 1) {
      const event = { id: `e-${at}`, type: 'RepositoryTagged', data: { appId: 'big', text }, metadata };
      await store.append('apps.repository-big', [event], at === 0 ? 'none' : BigInt(at - 1));
    }
    const warned: string[] = [];
    let yielded = 0;
    const left = Promise.withResolvers<void>();
    const counting = {
      ...store,
      async *subscribe(options: Parameters<typeof store.subscribe>[0]) {
        try {
          for await (const batch of store.subscribe(options)) {
            for (const event of batch.events) {
              yielded += 1;
              yield { ...batch, events: [event], position: event.position };
            }
          }
        } finally {
          left.resolve();
        }
      },
    };
    const api = await startApi({
      projects: false,
      stream: {
        store: counting,
        reached: async () => null,
        drainMsMax: 200,
        log: { warn: (_, line) => void warned.push(line) },
      },
    });
    const client = follow(api.url, '?from=start');
    await client.opened;
    const { _socket: tcp } = client.socket as unknown as { _socket: Socket };
    tcp.pause();
    // The log is read at the client's pace, and it is given up long before the end.
    await left.promise;
    assert.ok(yielded < 200, `${yielded} of 400 events were read for a client that reads nothing`);
    tcp.resume();
    const { code, reason } = await client.closed;
    assert.equal(code, 1013);
    const [, position] = /^resume after (\d+)$/.exec(reason) ?? [];
    assert.equal(client.events().at(-1)?.position, position, 'the last one it got is the one it is told');
    const again = follow(api.url, `?from=${position}`);
    await again.until(() => again.events().length > 0);
    assert.equal(BigInt(again.events()[0]?.position ?? 0), BigInt(position ?? 0) + 1n);
    again.socket.terminate();
    await api.close();
  });

  test('a heartbeat tells the position; who does not answer the ping is gone', async () => {
    const api = await startApi({ stream: { heartbeatMs: 50 } });
    await api.write('POST', '/apps', { id: 'beat', name: 'A', repoUrl });
    const alive = follow(api.url, '?from=start');
    const dead = follow(api.url, '?from=start', { autoPong: false });
    await alive.until(() => alive.frames.filter(({ kind }) => kind === 'heartbeat').length > 3);
    const beat = alive.frames.findLast(({ kind }) => kind === 'heartbeat');
    assert.equal(beat?.position, '1');
    assert.equal((await dead.closed).code, 1006);
    assert.equal(alive.socket.readyState, alive.socket.OPEN);
    await alive.close();
    await api.close();
  });

  test('no more clients than there is room for; a place that was left is free', async () => {
    const api = await startApi({ projects: false, stream: { clientsMax: 2, reached: async () => null } });
    const [one, two] = [follow(api.url), follow(api.url)];
    await Promise.all([one.opened, two.opened]);
    const { status, body } = await follow(api.url).refused;
    assert.deepEqual([status, body.code], [503, 'unavailable']);
    await one.close();
    const three = follow(api.url);
    await three.opened;
    await Promise.all([two.close(), three.close()]);
    await api.close();
  });

  test('when the server goes, clients are told, and one that does not listen holds nobody up', async () => {
    const api = await startApi({ projects: false, stream: { reached: async () => null } });
    const polite = follow(api.url);
    const deaf = follow(api.url);
    await Promise.all([polite.opened, deaf.opened]);
    (deaf.socket as unknown as { _socket: Socket })._socket.pause();
    await api.close();
    assert.deepEqual(await polite.closed, { code: 1001, reason: 'the server is going down' });
    deaf.socket.terminate();
  });

  test('a log that breaks is said to the client, with the position to go on from', async () => {
    const store = memoryStore();
    await store.append('apps.repository-a', [{ id: 'e', type: 'X', data: {}, metadata }], 'none');
    const warned: string[] = [];
    const breaking = {
      ...store,
      async *subscribe(options: Parameters<typeof store.subscribe>[0]) {
        for await (const batch of store.subscribe(options)) {
          yield batch;
          throw new Error('the log is damaged');
        }
      },
    };
    const api = await startApi({
      projects: false,
      stream: {
        store: breaking,
        reached: async () => null,
        log: { warn: (_, line) => void warned.push(line) },
      },
    });
    const client = follow(api.url, '?from=start');
    assert.deepEqual(await client.closed, { code: 1011, reason: 'resume after 1' });
    assert.equal(warned.length, 1);
    const away = await startApi({
      projects: false,
      stream: { reached: async () => Promise.reject(new Error('password=secret')) },
    });
    const { status, body } = await follow(away.url).refused;
    assert.equal(status, 503);
    assert.doesNotMatch(JSON.stringify(body), /secret/);
    await Promise.all([api.close(), away.close()]);
  });
});

suite('filter', () => {
  const word = fc.stringMatching(/^[A-Za-z0-9]{1,8}$/);
  const stream = fc
    .tuple(fc.constantFrom('apps.build', 'apps.launch', 'apps.repository', '$system', 'other'), word)
    .map(parts => parts.join('-'));

  test('the log is asked for no less than matches, and never for a stream that is not of a context', () => {
    fc.assert(
      fc.property(fc.array(stream, { maxLength: 4 }), stream, word, (streams, of, type) => {
        const filter = {
          types: [],
          streams: streams.filter(name => name.startsWith('apps')).map(name => name.slice(0, 9)),
        };
        const prefixes = prefixesOf(filter);
        for (const prefix of prefixes) assert.ok(everyContext.some(context => prefix.startsWith(context)));
        const event = { type, stream: of } as Pick<Recorded, 'type' | 'stream'>;
        const isOfContext = everyContext.some(context => of.startsWith(context));
        if (matches(filter, event) && isOfContext) assert.ok(prefixes.some(prefix => of.startsWith(prefix)));
      }),
    );
  });

  test('any query is understood or refused in words', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string(), (types, streams) => {
        try {
          const filter = parseFilter(new URLSearchParams({ types, streams }));
          assert.ok(prefixesOf(filter).length > 0, 'somebody would wait for nothing for ever');
        } catch (error) {
          assert.equal((error as { code: string }).code, 'invalid');
        }
      }),
    );
  });

  test('events of a context are for those who may read it, others for administrators', () => {
    const may = (scopes: string[], of: string) =>
      maySee({ ...anonymous, scopes }, { stream: of, data: { appId: 'x' } as never });
    assert.equal(may(['apps:read'], 'apps.build-1'), true);
    assert.equal(may(['apps:write', 'stream:read'], 'apps.build-1'), false);
    assert.equal(may(['apps:read'], 'access.operator-1'), false);
    assert.equal(may(['admin'], 'access.operator-1'), false);
    assert.equal(may(['audit:read'], 'access.operator-1'), true);
    assert.equal(may(['admin'], 'elsewhere.x-1'), true);
    assert.equal(may(['*'], 'anything'), true);
  });
});
