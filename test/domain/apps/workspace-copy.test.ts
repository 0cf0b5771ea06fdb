import { suite, test } from 'node:test';
import { workspace } from '../../../domain/apps/workspace.ts';
import type { WorkspaceEvent } from '../../../domain/apps/workspace-state.ts';
import { snapshotsPerWorkspaceMax } from '../../../domain/kernel/limits.ts';
import { given } from '../../support/given.ts';
import { asleep, held, kept, ofNobody, say, was } from '../../support/workspace.ts';

const second = { launchId: 'l1', deployment: 2 };

suite('a snapshot', () => {
  test('is asked for once, of something, one at a time', () => {
    given(workspace, held).when(say.snapshot()).gives([was.asked()]);
    given(workspace, [...held, was.asked()])
      .when(say.snapshot())
      .gives([]);
    given(workspace, [...held, was.asked()])
      .when(say.snapshot('s2'))
      .gives('workspace/busy');
    given(workspace, [was.created]).when(say.snapshot()).gives('workspace/empty');
    given(workspace, [was.cloned]).when(say.snapshot()).gives('workspace/busy');
    given(workspace, [...ofNobody, was.removing])
      .when(say.snapshot('s2'))
      .gives('workspace/removed');
  });

  test('there are only so many', () => {
    const many: WorkspaceEvent[] = [...asleep];
    for (let at = 0; at < snapshotsPerWorkspaceMax; at += 1)
      many.push(was.asked(`x${at}`), was.taken(`x${at}`));
    given(workspace, many).when(say.snapshot()).gives('workspace/too-many-snapshots');
    given(workspace, [...many, was.dropping('x3')])
      .when(say.snapshot())
      .gives('workspace/too-many-snapshots');
    given(workspace, [...many, was.dropping('x3'), was.dropped('x3')])
      .when(say.snapshot())
      .gives([was.asked()]);
  });

  test('is taken, or is not, and whoever waited goes on', () => {
    const taking = [...asleep, was.asked()];
    given(workspace, taking).when(say.taken()).gives([was.taken()]);
    given(workspace, taking).when(say.notTaken()).gives([was.notTaken()]);
    const waiting = [...taking, was.awaited(2, 'snapshot')];
    given(workspace, waiting)
      .when(say.taken())
      .gives([was.taken('s1', second)]);
    given(workspace, waiting)
      .when(say.notTaken())
      .gives([was.notTaken('s1', second)]);
    for (const over of [was.taken(), was.notTaken()]) {
      given(workspace, [...taking, over])
        .when(say.taken())
        .gives([]);
      given(workspace, [...taking, over])
        .when(say.notTaken())
        .gives([]);
    }
    given(workspace, [...taking, was.notTaken()])
      .when(say.restore())
      .gives('not-found');
  });

  test('is removed when nobody needs it', () => {
    given(workspace, kept).when(say.drop()).gives([was.dropping()]);
    given(workspace, [...kept, was.dropping()])
      .when(say.drop())
      .gives([]);
    given(workspace, [...kept, was.dropping()])
      .when(say.dropped())
      .gives([was.dropped()]);
    given(workspace, [...kept, was.dropping()])
      .when(say.restore())
      .gives('not-found');
    given(workspace, kept).when(say.dropped()).gives([]);
    given(workspace, [...kept, was.dropping(), was.dropped()])
      .when(say.drop())
      .gives('not-found');
    given(workspace, [...asleep, was.asked()])
      .when(say.drop())
      .gives('workspace/busy');
    given(workspace, [...kept, was.restoring()])
      .when(say.drop())
      .gives('workspace/busy');
    given(workspace, [...kept, was.asked('s2')])
      .when(say.drop())
      .gives([was.dropping()]);
    given(workspace, kept).when(say.drop('toString')).gives('not-found');
  });
});

suite('what is put back', () => {
  test('goes into another set of volumes, while no container can write', () => {
    given(workspace, kept).when(say.restore()).gives([was.restoring()]);
    given(workspace, ofNobody).when(say.restore()).gives([was.restoring()]);
    given(workspace, [...held, was.asked(), was.taken()])
      .when(say.restore())
      .gives('workspace/running');
    given(workspace, [...kept, was.restoring()])
      .when(say.restore())
      .gives('workspace/busy');
    given(workspace, kept).when(say.restore('s9')).gives('not-found');
    given(workspace, [...asleep, was.asked(), was.taken('s1', null, 1_001)])
      .when(say.restore())
      .gives('workspace/too-large');
  });

  test('takes the place of what was there in one event', () => {
    const restoring = [...kept, was.restoring()];
    given(workspace, restoring).when(say.restored()).gives([was.restored()]);
    given(workspace, restoring)
      .when(say.restored(2, 900))
      .gives([was.restored(2, { bytes: 900, level: 'nearly' })]);
    given(workspace, restoring).when(say.restored(3)).gives([]);
    given(workspace, [...restoring, was.restored()])
      .when(say.restored())
      .gives([]);
    given(workspace, [...restoring, was.awaited(2, 'restore')])
      .when(say.restored())
      .gives([was.restored(2, { resumes: second })]);
    given(workspace, [...restoring, was.restored()])
      .when(say.discarded(1))
      .gives([was.discarded(1)]);
    given(workspace, [...restoring, was.restored(), was.discarded(1)])
      .when(say.discarded(1))
      .gives([]);
  });

  test('or leaves it as it is; the number of a set is never given out again', () => {
    const failed = [...kept, was.restoring(), was.notRestored()];
    given(workspace, [...kept, was.restoring()])
      .when(say.notRestored())
      .gives([was.notRestored()]);
    given(workspace, [...kept, was.restoring(), was.awaited(2, 'restore')])
      .when(say.notRestored())
      .gives([was.notRestored(2, second)]);
    given(workspace, failed).when(say.notRestored()).gives([]);
    given(workspace, failed)
      .when(say.discarded(2))
      .gives([was.discarded(2)]);
    given(workspace, failed).when(say.discarded(1)).gives([]);
    given(workspace, failed)
      .when(say.restore())
      .gives([was.restoring(3)]);
  });

  test('makes a full one fit again', () => {
    const full = [...kept, was.weighed(2_000, 'full'), was.awaited(2, 'full')];
    given(workspace, [...full, was.restoring()])
      .when(say.restored())
      .gives([was.restored(2, { resumes: second })]);
  });

  test('fills a clone, or leaves it broken', () => {
    given(workspace, [was.cloned])
      .when(say.restored(1))
      .gives([was.restored(1, { replaced: null })]);
    const filled = [was.cloned, was.restored(1, { replaced: null })];
    given(workspace, filled).when(say.attach()).gives([was.attached()]);
    given(workspace, filled).when(say.snapshot()).gives([was.asked()]);
    given(workspace, [was.cloned])
      .when(say.notRestored(1))
      .gives([was.notRestored(1)]);
    given(workspace, [was.cloned, was.notRestored(1)])
      .when(say.snapshot())
      .gives('workspace/empty');
    given(workspace, [was.cloned, was.notRestored(1)])
      .when(say.remove)
      .gives([was.removing]);
  });
});
