import { suite, test } from 'node:test';
import { projectionLags } from '../../../domain/platform/projection-lag.ts';
import { given } from '../../support/given.ts';

const lag = { projection: 'apps_builds', lagEvents: 9, lagSeconds: 90, at: '2026-01-02T03:04:05.000Z' };
const report = (isTooFar: boolean) => ({ type: 'ReportProjectionLag', data: { ...lag, isTooFar } }) as const;
const fell = { type: 'ProjectionFellBehind', data: lag } as const;
const caughtUp = { type: 'ProjectionCaughtUp', data: lag } as const;

suite('how far a projection is behind', () => {
  test('is told when it changes from near to too far, or back', () => {
    given(projectionLags, []).when(report(false)).gives([]);
    given(projectionLags, []).when(report(true)).gives([fell]);
    given(projectionLags, [fell]).when(report(true)).gives([]);
    given(projectionLags, [fell]).when(report(false)).gives([caughtUp]);
    given(projectionLags, [fell, caughtUp]).when(report(true)).gives([fell]);
  });
});
