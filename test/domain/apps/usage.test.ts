import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { type UsageCommand, type UsageEvent, usage } from '../../../domain/apps/usage.ts';
import { given, holdsForAnyCommands } from '../../support/given.ts';

const of = { launchId: 'l1', appId: 'shop', owner: 'ann', deployment: 1 };
const startedAt = '2026-01-01T00:00:00.000Z';
const at = (second: number) => `2026-01-01T00:00:${String(second).padStart(2, '0')}.000Z`;

type Read = Partial<UsageCommand['data']>;
const read = (second: number, cpuMs: number, memoryMbSeconds: number, more: Read = {}): UsageCommand => ({
  type: 'ReadMeters',
  data: { ...of, startedAt, at: at(second), cpuMs, memoryMbSeconds, isLast: false, ...more },
});
const used = (
  from: number,
  to: number,
  cpuMs: number,
  memoryMbSeconds: number,
  more: Partial<UsageEvent['data']> = {},
): UsageEvent => ({
  type: 'LaunchUsed',
  data: { ...of, from: at(from), to: at(to), cpuMs, memoryMbSeconds, isLast: false, ...more },
});

suite('what a launch has used', () => {
  test('counts from the start of its container, and then what is new', () => {
    given(usage, [])
      .when(read(5, 1_000, 50))
      .gives([used(0, 5, 1_000, 50)]);
    given(usage, [used(0, 5, 1_000, 50)])
      .when(read(9, 1_300, 90))
      .gives([used(5, 9, 300, 40)]);
  });

  test('counts nothing twice: the same reading, an earlier one, or a meter that has gone back', () => {
    const history = [used(0, 5, 1_000, 50)];
    given(usage, history)
      .when(read(5, 1_000, 50))
      .gives([]);
    given(usage, history)
      .when(read(5, 9_000, 900))
      .gives([]);
    given(usage, history)
      .when(read(3, 800, 30))
      .gives([]);
    given(usage, history)
      .when(read(7, 900, 40))
      .gives([]);
    given(usage, history)
      .when(read(7, 900, 55))
      .gives([used(5, 7, 0, 5)]);
  });

  test('begins anew with each deployment, and two may run side by side', () => {
    const second = { deployment: 2, startedAt: at(4) };
    given(usage, [used(0, 5, 1_000, 50)])
      .when(read(6, 200, 10, second))
      .gives([used(4, 6, 200, 10, { deployment: 2 })]);
    given(usage, [used(0, 5, 1_000, 50), used(4, 6, 200, 10, { deployment: 2 })])
      .when(read(9, 1_100, 60))
      .gives([used(5, 9, 100, 10)]);
  });

  test('ends with its container: nothing that comes later is counted', () => {
    const last = { isLast: true };
    given(usage, [used(0, 5, 1_000, 50)])
      .when(read(5, 1_000, 50, last))
      .gives([used(5, 5, 0, 0, last)]);
    given(usage, [used(0, 5, 1_000, 50)])
      .when(read(8, 1_500, 80, last))
      .gives([used(5, 8, 500, 30, last)]);
    given(usage, [used(0, 5, 1_000, 50), used(5, 8, 500, 30, last)])
      .when(read(20, 9_000, 900))
      .gives([]);
    given(usage, [])
      .when(read(0, 0, 0, last))
      .gives([]);
  });

  test('adds up to what the meters show, however often and in whatever order they are read', () => {
    const reading = fc.record({
      second: fc.integer({ min: 1, max: 59 }),
      deployment: fc.constantFrom(1, 2),
      isLast: fc.boolean(),
    });
    // Meters that go forward with time.
    const commands = reading.map(({ second, deployment, isLast }) =>
      read(second, second * 100 * deployment, second * 7, { deployment, isLast }),
    );
    const reached = holdsForAnyCommands(usage, commands);
    assert.deepEqual([...reached], ['LaunchUsed']);
    fc.assert(
      fc.property(fc.array(commands, { maxLength: 30 }), asked => {
        let state = usage.initialState;
        let cpuMs = 0;
        const seen = new Map<number, number>();
        for (const command of asked) {
          const before = state;
          for (const event of usage.decide(command, state)) {
            cpuMs += event.data.cpuMs;
            state = usage.evolve(state, event);
          }
          const { deployment, at: when } = command.data;
          const second = Number(when.slice(17, 19));
          if (!before.closed.includes(deployment))
            seen.set(deployment, Math.max(seen.get(deployment) ?? 0, second));
        }
        const right = [...seen].reduce((sum, [deployment, second]) => sum + second * 100 * deployment, 0);
        assert.ok(cpuMs <= right, `${cpuMs} of ${right}`);
        const open = Object.entries(state.counted).reduce((sum, [, one]) => sum + one.cpuMs, 0);
        assert.ok(open <= cpuMs);
      }),
    );
  });
});
