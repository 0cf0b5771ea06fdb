/** What is told of projections: dead letters and lags as events, health and figures; and what a read that waits is told. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, suite, test } from 'node:test';
import { watchProjections } from '../../cli/projection-watch.ts';
import type { Recorded } from '../../domain/events.ts';
import { type Body, startApi } from '../support/api.ts';
import { launchableApp } from '../support/play.ts';
import { assertProblem } from '../support/problem.ts';
import { until } from '../support/projector.ts';

const name = 'apps_builds';
const limits = { lagSeconds: 60, lagEvents: 10_000, deadLetters: 0 };
const log = { info: () => undefined, warn: () => undefined, error: () => undefined } as never;

suite('what is told of projections', async () => {
  const api = await startApi();
  const stops: (() => Promise<void>)[] = [];
  after(async () => {
    for (const stop of stops) await stop();
    await api.close();
  });
  const watch = (of = limits) => {
    const stop = new AbortController();
    const watching = watchProjections({
      sql: api.sql,
      store: api.store,
      limits: of,
      log,
      signal: stop.signal,
    });
    const end = async () => {
      stop.abort();
      await watching;
    };
    stops.push(end);
    return end;
  };
  const told = async (what: string): Promise<readonly Recorded[]> =>
    (await api.store.load(`platform.${what}-${name}`)).events;
  const types = async (what: string) => (await told(what)).map(({ type }) => type);
  await launchableApp(api, 'todo');
  const stream = `apps.build-${randomUUID()}`;
  const append = async (data: object) => {
    const cause = randomUUID();
    const metadata = {
      actor: 'a-tool',
      correlationId: cause,
      causationId: cause,
      time: '2026-01-02T03:04:05.000Z',
    };
    const { revision } = await api.store.load(stream);
    const event = { id: randomUUID(), type: 'BuildRequested', data, metadata };
    return (await api.store.append(stream, [event as never], revision)).position;
  };

  test('health, figures and an event tell of a dead letter, once', async () => {
    assert.equal((await api.ask('GET', '/readyz')).body.checks.projections.ok, true);
    const poison = await append({ buildId: null, at: 'whenever', args: {} });
    let end = watch();
    await until('the event', async () => (await types('dead-letter')).includes('DeadLetterFound'));
    const [found] = await told('dead-letter');
    const { position, eventType, error } = (found as Body).data;
    assert.deepEqual([position, eventType], [`${poison}`, 'BuildRequested']);
    assert.match(error, /22007|23502/);
    await end();
    end = watch();
    const health = (await api.ask('GET', '/readyz')).body;
    assert.equal(health.status, 'degraded');
    assert.match(health.checks.projections.reason, /apps_builds cannot apply 1 events; 0 wait behind them/);
    const one = health.projections.find((lag: Body) => lag.name === name);
    assert.deepEqual([one.deadLetters, one.waitingEvents], [1, 0]);
    const figures = (await api.ask('GET', '/metrics')).text;
    assert.match(figures, /apphub_projection_dead_letters\{projection="apps_builds"\} 1/);
    assert.match(figures, /apphub_projection_lag_events\{projection="apps_builds"\} \d/);
    const { data } = await api.read('/projections');
    const shown = data.find((row: Body) => row.name === name);
    assert.deepEqual([shown.deadLetters, shown.waitingEvents, shown.problem], [1, 0, null]);
    for (const { projection } of (await api.ask('GET', '/dead-letters')).body.data as Body[]) {
      const place = `/projections/${projection}/dead-letters/${poison}/skip`;
      await api.write('POST', place, { reason: 'of no use' });
    }
    await until('the end of it', async () => (await types('dead-letter')).includes('DeadLetterResolved'));
    assert.deepEqual(await types('dead-letter'), [
      'DeadLetterFound',
      'DeadLetterSkipped',
      'DeadLetterResolved',
    ]);
    await until('health', async () => (await api.ask('GET', '/readyz')).body.checks.projections.ok);
    await end();
  });

  test('a read that waits for what waits itself is told so; one that does not is answered', async () => {
    const poison = await append({ buildId: null, at: 'whenever', args: {} });
    const behind = await append({ buildId: null, at: 'later', args: {} });
    await until('the letter', async () => (await api.ask('GET', `/apps?after=${behind}`)).status === 503);
    for (const position of [poison, behind]) {
      const answer = await api.ask('GET', `/apps?after=${position}`);
      assertProblem(answer, 503, 'dead-letter');
      assert.equal(answer.body.stream, stream);
      const letter = answer.body.deadLetters.find((one: Body) => one.projection === name);
      assert.equal(letter.position, `${poison}`);
    }
    const { position } = await api.write('POST', '/apps/todo/tags', { key: 'a', value: 'b' });
    assert.equal((await api.ask('GET', `/apps/todo?after=${position}`)).status, 200);
    assert.equal((await api.ask('GET', `/apps?after=${poison - 1n}`)).status, 200);
  });

  test('what falls behind further than is allowed is told, and that it no longer is', async () => {
    const end = watch({ ...limits, lagEvents: 1 });
    const holder = await api.sql.transaction();
    await holder('projection_checkpoints').where({ name }).forUpdate();
    await api.write('POST', '/apps/todo/tags', { key: 'c', value: 'd' });
    await until('the event', async () => (await types('projection-lag')).includes('ProjectionFellBehind'));
    await end();
    await holder.rollback();
    const again = watch();
    await until('the other', async () => (await types('projection-lag')).includes('ProjectionCaughtUp'));
    assert.deepEqual(await types('projection-lag'), ['ProjectionFellBehind', 'ProjectionCaughtUp']);
    await again();
  });
});
