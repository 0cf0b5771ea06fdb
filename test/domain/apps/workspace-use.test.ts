import { suite, test } from 'node:test';
import { workspace } from '../../../domain/apps/workspace.ts';
import { given } from '../../support/given.ts';
import { asleep, held, kept, ofNobody, say, was } from '../../support/workspace.ts';

suite('the launch a workspace is kept for', () => {
  test('is one at a time, and of its app', () => {
    given(workspace, [was.created]).when(say.attach()).gives([was.attached()]);
    given(workspace, [was.created, was.attached()]).when(say.attach()).gives([]);
    given(workspace, [was.created, was.attached()]).when(say.attach('l2')).gives('workspace/in-use');
    given(workspace, [was.created]).when(say.attach('l1', 'shop')).gives('workspace/other-app');
    given(workspace, []).when(say.attach()).gives('not-found');
    given(workspace, [was.created, was.removing]).when(say.attach()).gives('workspace/removed');
  });

  test('waits for nothing: what is busy, full or broken is refused', () => {
    given(workspace, [...ofNobody, was.restoring()])
      .when(say.attach())
      .gives('workspace/busy');
    given(workspace, [...ofNobody, was.asked('s2', true)])
      .when(say.attach())
      .gives('workspace/busy');
    given(workspace, [...ofNobody, was.weighed(2_000, 'full')])
      .when(say.attach())
      .gives('workspace/full');
    given(workspace, [was.cloned, was.notRestored(1)])
      .when(say.attach())
      .gives('workspace/broken');
    given(workspace, [was.cloned]).when(say.attach()).gives('workspace/busy');
  });

  test('leaves it to others at its end', () => {
    given(workspace, held).when(say.detach()).gives([was.detached()]);
    given(workspace, held).when(say.detach('l2')).gives([]);
    given(workspace, ofNobody).when(say.detach()).gives([]);
    given(workspace, [...held, was.detached()])
      .when(say.attach('l2'))
      .gives([was.attached('l2')]);
  });
});

suite('the containers that write to a workspace', () => {
  test('open it one after the other', () => {
    given(workspace, [was.created, was.attached()]).when(say.open()).gives([was.opened()]);
    given(workspace, held).when(say.open()).gives([]);
    given(workspace, held)
      .when(say.open(2))
      .gives([was.awaited(2, 'in-use')]);
    const waiting = [...held, was.awaited(2, 'in-use')];
    given(workspace, waiting).when(say.open(2)).gives([]);
    given(workspace, waiting)
      .when(say.close(1))
      .gives([was.closed(1, { launchId: 'l1', deployment: 2 })]);
    given(workspace, [...waiting, was.closed(1)])
      .when(say.open(2))
      .gives([was.opened(2)]);
  });

  test('or side by side, where that was asked for', () => {
    given(workspace, held)
      .when(say.open(2, { overlap: true }))
      .gives([was.opened(2)]);
    const both = [...held, was.opened(2)];
    given(workspace, both)
      .when(say.close(1))
      .gives([was.closed(1)]);
    given(workspace, [...both, was.closed(1)])
      .when(say.restore('s1'))
      .gives('not-found');
  });

  test('take it for a launch from which it was taken, unless another one has it', () => {
    given(workspace, [was.created]).when(say.open()).gives([was.attached(), was.opened()]);
    given(workspace, [was.created, was.attached('l2')])
      .when(say.open())
      .gives('workspace/in-use');
    given(workspace, [was.created])
      .when(say.open(1, { appId: 'shop' }))
      .gives('workspace/other-app');
    given(workspace, [...ofNobody, was.restoring()])
      .when(say.open(3))
      .gives([was.attached(), was.awaited(3, 'restore')]);
  });

  test('wait for a snapshot, for what is put back, and while there is too much', () => {
    given(workspace, [...asleep, was.asked()])
      .when(say.open(2))
      .gives([was.awaited(2, 'snapshot')]);
    given(workspace, [...asleep, was.asked('s1', true)])
      .when(say.open(2))
      .gives([was.opened(2)]);
    given(workspace, [...kept, was.restoring()])
      .when(say.open(2))
      .gives([was.awaited(2, 'restore')]);
    given(workspace, [...asleep, was.weighed(2_000, 'full')])
      .when(say.open(2))
      .gives([was.awaited(2, 'full')]);
  });

  test('one that waited and is not wanted any more waits no more', () => {
    const waiting = [...held, was.awaited(2, 'in-use')];
    given(workspace, waiting)
      .when(say.close(2))
      .gives([was.closed(2)]);
    given(workspace, [...waiting, was.closed(2)])
      .when(say.close(1))
      .gives([was.closed(1)]);
    given(workspace, waiting).when(say.close(3)).gives([]);
    given(workspace, held).when(say.close(1, 'l2')).gives([]);
    given(workspace, asleep).when(say.close()).gives([]);
  });
});

suite('the volumes of a workspace', () => {
  test('are told before they are used, and grow by those an image adds', () => {
    const opened = [was.created, was.attached(), was.opened()];
    given(workspace, opened).when(say.made()).gives([was.made()]);
    given(workspace, held).when(say.made()).gives([]);
    given(workspace, held)
      .when(say.made(1, ['/uploads']))
      .gives([was.made(1, ['/data', '/uploads'])]);
    given(workspace, [...held, was.made(1, ['/data', '/uploads'])])
      .when(say.made(1, ['/data']))
      .gives([]);
  });

  test('are not those of before, of another engine, or beside what is being put back', () => {
    given(workspace, [...kept, was.restoring(), was.restored()])
      .when(say.made(1))
      .gives('workspace/busy');
    given(workspace, [...kept, was.restoring()])
      .when(say.made(1))
      .gives('workspace/busy');
    given(workspace, held)
      .when(say.made(1, ['/data'], 'other'))
      .gives('workspace/busy');
  });
});
