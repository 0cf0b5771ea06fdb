/** An engine as workers report it. */
import type { EngineState } from '../../workers/adapters/engine-types.ts';

export function engineState(name: string, changes: Partial<EngineState> = {}): EngineState {
  return {
    name,
    kind: 'engine',
    labels: {},
    builds: true,
    awayReason: null,
    awaySince: null,
    cpus: 4,
    memoryBytes: 8 * 1024 ** 3,
    launchesMax: null,
    promised: { cpus: 1.5, memoryBytes: 3 * 1024 ** 3, launches: 4 },
    ...changes,
  };
}
