import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import {
  fromUnits,
  inUnits,
  overWords,
  periodOf,
  type QuotaCommand,
  type QuotaEvent,
  quota,
  reachedAt,
  refuseOverQuota,
} from '../../../domain/apps/quota.ts';
import { fold } from '../../../domain/kernel/decider.ts';
import { given, holdsForAnyCommands } from '../../support/given.ts';

const of = { quotaId: 'q1', owner: 'ann', at: '2026-01-10T00:00:00.000Z' };
const period = { from: '2026-01-01T00:00:00.000Z', until: '2026-02-01T00:00:00.000Z' };
const cpu = { ...of, ...period, resource: 'cpuMs', used: 61_000, max: 60_000 } as const;
const memory = { ...of, ...period, resource: 'memoryMbSeconds', used: 7_200, max: 3_600 } as const;
const reached = (data: Extract<QuotaEvent, { type: 'QuotaReached' }>['data']): QuotaEvent => ({
  type: 'QuotaReached',
  data,
});

suite('a quota', () => {
  test('is reached once in a period, and again where less is allowed or another period has begun', () => {
    given(quota, [])
      .when({ type: 'ReachQuota', data: cpu })
      .gives([reached(cpu)]);
    given(quota, [reached(cpu)])
      .when({ type: 'ReachQuota', data: { ...cpu, used: 99_000 } })
      .gives([]);
    const less = { ...cpu, max: 1_000 };
    given(quota, [reached(cpu)])
      .when({ type: 'ReachQuota', data: less })
      .gives([reached(less)]);
    const next = { ...cpu, until: '2026-03-01T00:00:00.000Z' };
    given(quota, [reached(cpu)])
      .when({ type: 'ReachQuota', data: next })
      .gives([reached(next)]);
  });

  test('is freed where more is allowed, each resource for itself', () => {
    const free = { ...of, resource: 'cpuMs' } as const;
    given(quota, []).when({ type: 'FreeQuota', data: free }).gives([]);
    const freed: QuotaEvent = { type: 'QuotaFreed', data: free };
    given(quota, [reached(cpu), reached(memory)])
      .when({ type: 'FreeQuota', data: free })
      .gives([freed]);
    const state = fold(quota, [reached(cpu), reached(memory), freed]);
    assert.equal(reachedAt(state, of.at)?.resource, 'memoryMbSeconds');
  });

  test('refuses until its period is over, naming what is used and when it is free again', () => {
    const state = fold(quota, [reached(cpu)]);
    assert.throws(() => refuseOverQuota(state, 'ann', of.at), {
      code: 'launch/over-quota',
      detail: { owner: 'ann', resource: 'cpuSeconds', used: 61, max: 60, freeAt: period.until },
    });
    refuseOverQuota(state, 'ann', period.until);
    refuseOverQuota(quota.initialState, 'ann', of.at);
  });

  test('has periods that begin in UTC, and units of people', () => {
    assert.deepEqual(periodOf('month', '2026-12-31T23:59:59.999Z'), {
      day: '2026-12-01',
      from: '2026-12-01T00:00:00.000Z',
      until: '2027-01-01T00:00:00.000Z',
    });
    assert.deepEqual(periodOf('day', '2026-02-28T12:00:00.000Z'), {
      day: '2026-02-28',
      from: '2026-02-28T00:00:00.000Z',
      until: '2026-03-01T00:00:00.000Z',
    });
    assert.deepEqual([inUnits('cpuMs', 1_234), inUnits('memoryMbSeconds', 1_800)], [1.234, 0.5]);
    assert.deepEqual([fromUnits('cpuMs', 60), fromUnits('memoryMbSeconds', 2)], [60_000, 7_200]);
    assert.equal(
      overWords(null, memory),
      'All launches together have used the 1 MB-hours of memory that they may; there is more from 2026-02-01T00:00:00.000Z.',
    );
  });

  test('holds for any commands', () => {
    const commands = fc.record({ from: fc.constantFrom(cpu, memory), isFree: fc.boolean() });
    const said = commands.map(({ from, isFree }): QuotaCommand => {
      const { quotaId, owner, at, resource } = from;
      return isFree
        ? { type: 'FreeQuota', data: { quotaId, owner, at, resource } }
        : { type: 'ReachQuota', data: from };
    });
    assert.deepEqual([...holdsForAnyCommands(quota, said)].sort(), ['QuotaFreed', 'QuotaReached']);
  });
});
