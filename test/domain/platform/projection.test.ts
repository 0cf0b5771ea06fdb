import { suite, test } from 'node:test';
import { projectionRequests } from '../../../domain/platform/projection.ts';
import { given } from '../../support/given.ts';

const data = { projection: 'apps_builds', at: '2026-01-02T03:04:05.000Z' };

suite('what is asked of a projection', () => {
  test('is done each time it is asked', () => {
    const rebuild = { type: 'ProjectionRebuildRequested', data } as const;
    const rollback = { type: 'ProjectionRollbackRequested', data } as const;
    given(projectionRequests, []).when({ type: 'RebuildProjection', data }).gives([rebuild]);
    given(projectionRequests, [rebuild]).when({ type: 'RebuildProjection', data }).gives([rebuild]);
    given(projectionRequests, [rebuild]).when({ type: 'RollBackProjection', data }).gives([rollback]);
  });
});
