import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { workspace } from '../../../domain/apps/workspace.ts';
import type {
  WorkspaceCommand,
  WorkspaceEvent,
  WorkspaceState,
} from '../../../domain/apps/workspace-state.ts';
import { given, holdsForAnyCommands } from '../../support/given.ts';
import { asleep, held, ofNobody, say, was } from '../../support/workspace.ts';

suite('a workspace', () => {
  test('is made once', () => {
    given(workspace, []).when(say.create).gives([was.created]);
    given(workspace, []).when(say.clone).gives([was.cloned]);
    given(workspace, [was.created]).when(say.create).gives('already-exists');
    given(workspace, []).when(say.remove).gives('not-found');
  });

  test('is given another name, or more room', () => {
    given(workspace, held)
      .when(say.change({ name: 'Ours' }))
      .gives([was.changed('Ours', 1_000)]);
    given(workspace, held).when(say.change({})).gives([]);
    given(workspace, held)
      .when(say.change({ name: 'Mine', bytesMax: 1_000 }))
      .gives([]);
    const full = [...asleep, was.weighed(1_500, 'full'), was.awaited(2, 'full')];
    given(workspace, full)
      .when(say.change({ bytesMax: 3_000 }))
      .gives([was.changed('Mine', 3_000, 'fits', { launchId: 'l1', deployment: 2 })]);
    given(workspace, full)
      .when(say.change({ bytesMax: 1_400 }))
      .gives([was.changed('Mine', 1_400, 'full')]);
    given(workspace, [...ofNobody, was.removing])
      .when(say.change({ name: 'Ours' }))
      .gives('workspace/removed');
  });

  test('tells what it weighs when that makes a difference', () => {
    given(workspace, held).when(say.weigh(10)).gives([]);
    given(workspace, held)
      .when(say.weigh(800))
      .gives([was.weighed(800, 'nearly')]);
    given(workspace, held)
      .when(say.weigh(1_001))
      .gives([was.weighed(1_001, 'full')]);
    given(workspace, [...held, was.weighed(1_001, 'full')])
      .when(say.weigh(5_000))
      .gives([]);
    given(workspace, [...asleep, was.weighed(1_001, 'full'), was.awaited(2, 'full')])
      .when(say.weigh(600))
      .gives([was.weighed(600, 'fits', { launchId: 'l1', deployment: 2 })]);
    given(workspace, held).when(say.weigh(5_000, 2)).gives([]);
    given(workspace, [was.created]).when(say.weigh(5_000)).gives([]);
    given(workspace, [...ofNobody, was.removing])
      .when(say.weigh(5_000))
      .gives([]);
  });

  test('goes when nobody has it, and nothing is being done with it', () => {
    given(workspace, ofNobody).when(say.remove).gives([was.removing]);
    given(workspace, asleep).when(say.remove).gives('workspace/in-use');
    given(workspace, [...ofNobody, was.restoring()])
      .when(say.remove)
      .gives('workspace/busy');
    given(workspace, [...ofNobody, was.removing])
      .when(say.remove)
      .gives([]);
    given(workspace, [...ofNobody, was.removing])
      .when(say.removed)
      .gives([was.removed]);
    given(workspace, ofNobody).when(say.removed).gives([]);
    given(workspace, [...ofNobody, was.removing, was.removed])
      .when(say.removed)
      .gives([]);
    given(workspace, [...ofNobody, was.removing, was.removed])
      .when(say.remove)
      .gives('workspace/removed');
  });
});

test('whatever is asked of a workspace, what is decided can be replayed', () => {
  const filled = [say.create, say.attach(), say.open(), say.made(), say.close(), say.snapshot(), say.taken()];
  const number = fc.integer({ min: 1, max: 3 });
  const reached = holdsForAnyCommands<WorkspaceState, WorkspaceCommand, WorkspaceEvent>(
    workspace,
    fc.oneof(
      fc.constantFrom<WorkspaceCommand>(
        say.create,
        say.clone,
        say.remove,
        say.removed,
        say.change({ bytesMax: 700 }),
      ),
      fc.constantFrom<WorkspaceCommand>(say.attach(), say.attach('l2'), say.detach(), say.detach('l2')),
      fc.constantFrom<WorkspaceCommand>(say.made(), say.made(2), say.made(1, ['/data', '/more'])),
      fc.constantFrom<WorkspaceCommand>(
        say.snapshot(),
        say.snapshot('s2', true),
        say.taken(),
        say.notTaken(),
      ),
      fc.constantFrom<WorkspaceCommand>(say.drop(), say.dropped(), say.restore(), say.taken('s2')),
      number.map(one => say.open(one)),
      number.map(one => say.open(one, { overlap: true })),
      number.map(one => say.close(one)),
      number.map(one => say.restored(one)),
      number.map(one => say.notRestored(one)),
      number.map(one => say.discarded(one)),
      fc.constantFrom(100, 900, 2_000).map(bytes => say.weigh(bytes)),
    ),
    [
      filled,
      [say.create, say.attach(), say.open(), say.made(), say.detach(), say.remove, say.removed],
      [...filled, say.restore(), say.restored(), say.discarded(), say.weigh(900)],
      [...filled, say.drop(), say.dropped(), say.snapshot(), say.notTaken()],
      [...filled, say.restore(), say.notRestored(), say.open(2), say.open(3)],
      [say.clone],
    ],
  );
  assert.equal(reached.size, 20, [...reached].join(' '));
});
