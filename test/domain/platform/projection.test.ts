import { suite, test } from 'node:test';
import { projectionRequests } from '../../../domain/platform/projection.ts';
import { given } from '../../support/given.ts';

const data = { projection: 'apps_builds', at: '2026-01-02T03:04:05.000Z' };

const wrong = {
  table: 'apps_builds',
  key: '{"build_id": "b1"}',
  kind: 'changed',
  columns: ['status'],
  position: '42',
  soundUpTo: null,
} as const;
const found = { ...data, position: '50', rows: 1, divergences: [wrong] };
const diverged = { type: 'ProjectionDiverged', data: found } as const;
const mended = { ...data, position: '60', rows: 1, how: 'refolded' } as const;

suite('what is found of a projection', () => {
  test('is reported once, until it is mended', () => {
    given(projectionRequests, []).when({ type: 'ReportProjectionDiverged', data: found }).gives([diverged]);
    const later = { ...found, position: '70' };
    given(projectionRequests, [diverged]).when({ type: 'ReportProjectionDiverged', data: later }).gives([]);
    const repaired = { type: 'ProjectionRepaired', data: mended } as const;
    given(projectionRequests, [diverged, repaired])
      .when({ type: 'ReportProjectionDiverged', data: later })
      .gives([{ type: 'ProjectionDiverged', data: later }]);
  });

  test('is reported again when more of it is found', () => {
    const more = { ...found, divergences: [wrong, { ...wrong, key: '{"build_id": "b2"}' }] };
    given(projectionRequests, [diverged])
      .when({ type: 'ReportProjectionDiverged', data: more })
      .gives([{ type: 'ProjectionDiverged', data: more }]);
    given(projectionRequests, [{ type: 'ProjectionDiverged', data: more }])
      .when({ type: 'ReportProjectionDiverged', data: found })
      .gives([]);
  });

  test('is mended where something was wrong', () => {
    given(projectionRequests, []).when({ type: 'ReportProjectionRepaired', data: mended }).gives([]);
    given(projectionRequests, [diverged])
      .when({ type: 'ReportProjectionRepaired', data: mended })
      .gives([{ type: 'ProjectionRepaired', data: mended }]);
    given(projectionRequests, [diverged])
      .when({ type: 'RepairProjection', data })
      .gives([{ type: 'ProjectionRepairRequested', data }]);
  });
});

suite('what is asked of a projection', () => {
  test('is done each time it is asked', () => {
    const rebuild = { type: 'ProjectionRebuildRequested', data } as const;
    const rollback = { type: 'ProjectionRollbackRequested', data } as const;
    given(projectionRequests, []).when({ type: 'RebuildProjection', data }).gives([rebuild]);
    given(projectionRequests, [rebuild]).when({ type: 'RebuildProjection', data }).gives([rebuild]);
    given(projectionRequests, [rebuild]).when({ type: 'RollBackProjection', data }).gives([rollback]);
  });
});
