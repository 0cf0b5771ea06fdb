import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { levelOf, noWorkspace, obstacleOf, resumedBy } from '../../../domain/apps/workspace-state.ts';

suite('how full a workspace is', () => {
  test('nearly from 80 % on, full above what it may hold', () => {
    assert.deepEqual(
      [0, 799, 800, 1_000, 1_001].map(bytes => levelOf(bytes, 1_000, 'fits')),
      ['fits', 'fits', 'nearly', 'nearly', 'full'],
    );
  });

  test('it fits again below 70 %, so that an app at the mark does not tell each time', () => {
    assert.deepEqual(
      [1_001, 1_000, 700, 699].map(bytes => levelOf(bytes, 1_000, 'full')),
      ['full', 'nearly', 'nearly', 'fits'],
    );
    assert.deepEqual(
      [799, 700, 699].map(bytes => levelOf(bytes, 1_000, 'nearly')),
      ['nearly', 'nearly', 'fits'],
    );
  });
});

suite('what keeps a deployment waiting', () => {
  const snapshot = { kind: 'snapshot', snapshotId: 's', live: false, cloneId: null } as const;
  const source = { workspaceId: 'w', snapshotId: 's', isNew: false };
  const restore = { kind: 'restore', source, generation: 2 } as const;
  const free = { operation: null, open: [], level: 'fits' } as const;

  test('an operation first, then too much content, then the container before it', () => {
    assert.equal(obstacleOf(free, false), undefined);
    assert.equal(obstacleOf({ operation: restore, open: [1], level: 'full' }, true), 'restore');
    assert.equal(obstacleOf({ operation: snapshot, open: [1], level: 'full' }, true), 'snapshot');
    assert.equal(obstacleOf({ ...free, open: [1], level: 'full' }, true), 'full');
    assert.equal(obstacleOf({ ...free, open: [1] }, false), 'in-use');
    assert.equal(obstacleOf({ ...free, open: [1] }, true), undefined);
    assert.equal(obstacleOf({ ...free, operation: { ...snapshot, live: true } }, false), undefined);
  });

  test('whoever waits goes on as soon as nothing is in the way', () => {
    const waiting = { ...noWorkspace, attached: 'l1', awaited: 2, open: [1], operation: restore };
    assert.equal(resumedBy(waiting, { operation: null }), null);
    assert.equal(resumedBy(waiting, { open: [] }), null);
    assert.deepEqual(resumedBy(waiting, { operation: null, open: [] }), { launchId: 'l1', deployment: 2 });
    assert.equal(resumedBy({ ...waiting, awaited: null }, { operation: null, open: [] }), null);
  });
});
