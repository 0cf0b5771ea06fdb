import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import {
  type Release,
  type RepositoryCommand,
  type RepositoryEvent,
  repository,
} from '../../../domain/apps/repository.ts';
import { confined } from '../../../domain/apps/sandbox.ts';
import type { Tag } from '../../../domain/apps/tag.ts';
import { tagsPerAppMax } from '../../../domain/kernel/limits.ts';
import { given, holdsForAnyCommands } from '../../support/given.ts';

const at = '2026-01-02T03:04:05.000Z';
const later = '2026-01-02T04:00:00.000Z';
const appId = 'todo';
const node = { key: 'language', value: 'node' };
const description = {
  name: 'Todo',
  description: null,
  repoUrl: 'https://git.example/todo.git',
  ref: null,
  dockerfilePath: null,
  homepage: null,
  owner: 'ann',
};
const release: Release = {
  buildId: 'b1',
  commit: 'c1',
  image: 'apphub/todo:c1',
  imageId: 'sha256:1',
  ports: [80],
  requestedAt: at,
};
const register: RepositoryCommand = {
  type: 'RegisterRepository',
  data: { appId, at, tags: [node], ...description },
};
const registered: RepositoryEvent = {
  type: 'RepositoryRegistered',
  data: { appId, at, tags: [node], ...description },
};
const archive: RepositoryCommand = { type: 'ArchiveRepository', data: { appId, at: later } };
const archived: RepositoryEvent = { type: 'RepositoryArchived', data: { appId, at: later } };
const tag = (tag: Tag): RepositoryCommand => ({ type: 'TagRepository', data: { appId, at, tag } });
const untag = (tag: Tag): RepositoryCommand => ({ type: 'UntagRepository', data: { appId, at, tag } });
const change = (
  changes: Extract<RepositoryCommand, { type: 'ChangeRepository' }>['data']['changes'],
): RepositoryCommand => ({ type: 'ChangeRepository', data: { appId, at, changes } });
const publish = (release: Release): RepositoryCommand => ({
  type: 'ReleaseRepository',
  data: { appId, at, release },
});
const released = (release: Release): RepositoryEvent => ({
  type: 'RepositoryReleased',
  data: { appId, at, release },
});

suite('a repository', () => {
  test('is registered once, and again after it was archived', () => {
    given(repository, []).when(register).gives([registered]);
    given(repository, [registered]).when(register).gives('already-exists');
    given(repository, [registered, archived]).when(register).gives([registered]);
  });

  test('registered again begins without the tags and the release of before', () => {
    const events = [
      registered,
      released(release),
      archived,
      { ...registered, data: { ...registered.data, tags: [] } },
    ];
    given(repository, events as RepositoryEvent[])
      .when(publish(release))
      .gives([released(release)]);
    given(repository, events as RepositoryEvent[])
      .when(untag(node))
      .gives([]);
  });

  test('counts a tag that is given twice once', () => {
    const twice = { ...register, data: { ...register.data, tags: [node, { ...node }] } } as RepositoryCommand;
    given(repository, []).when(twice).gives([registered]);
  });

  test('is confined as it was said last; saying the same again does nothing', () => {
    const sandbox = { egress: ['api.example.org'], allowRoot: true, runtime: 'default' as const };
    const confine: RepositoryCommand = { type: 'ConfineRepository', data: { appId, at, sandbox } };
    const changed: RepositoryEvent = { type: 'RepositorySandboxChanged', data: { appId, at, sandbox } };
    given(repository, [registered]).when(confine).gives([changed]);
    given(repository, [registered, changed]).when(confine).gives([]);
    const less: RepositoryCommand = { type: 'ConfineRepository', data: { appId, at, sandbox: confined } };
    given(repository, [registered]).when(less).gives([]);
    given(repository, []).when(confine).gives('not-found');
    given(repository, [registered, archived]).when(confine).gives('archived');
  });

  test('must be there for anything else', () => {
    for (const command of [change({}), tag(node), untag(node), publish(release), archive]) {
      given(repository, []).when(command).gives('not-found');
    }
  });

  test('takes no change while it is archived; archiving it again does nothing', () => {
    for (const command of [change({ name: 'x' }), tag(node), untag(node), publish(release)]) {
      given(repository, [registered, archived]).when(command).gives('archived');
    }
    given(repository, [registered]).when(archive).gives([archived]);
    given(repository, [registered, archived]).when(archive).gives([]);
  });

  test('records only what a change really changes', () => {
    const changes = { homepage: 'https://todo.example', owner: null };
    const changed: RepositoryEvent = { type: 'RepositoryChanged', data: { appId, at, changes } };
    given(repository, [registered])
      .when(change({ ...changes, name: 'Todo' }))
      .gives([changed]);
    given(repository, [registered, changed]).when(change(changes)).gives([]);
    given(repository, [registered]).when(change({})).gives([]);
  });

  test('is tagged and untagged once; a tag is its key and its value', () => {
    const other = { key: 'language', value: 'go' };
    const tagged: RepositoryEvent = { type: 'RepositoryTagged', data: { appId, at, tag: other } };
    const untagged: RepositoryEvent = { type: 'RepositoryUntagged', data: { appId, at, tag: other } };
    given(repository, [registered]).when(tag(node)).gives([]);
    given(repository, [registered]).when(tag(other)).gives([tagged]);
    given(repository, [registered, tagged]).when(tag(other)).gives([]);
    given(repository, [registered]).when(untag(other)).gives([]);
    given(repository, [registered, tagged]).when(untag(other)).gives([untagged]);
    given(repository, [registered, tagged, untagged]).when(untag(other)).gives([]);
    given(repository, [registered, tagged, untagged]).when(tag(other)).gives([tagged]);
  });

  test(`has at most ${tagsPerAppMax} tags; one that it has is still no error`, () => {
    const full = Array.from({ length: tagsPerAppMax - 1 }, (_, n): RepositoryEvent => {
      return { type: 'RepositoryTagged', data: { appId, at, tag: { key: 'n', value: String(n) } } };
    });
    given(repository, [registered, ...full])
      .when(tag({ key: 'n', value: 'more' }))
      .gives('invalid');
    given(repository, [registered, ...full])
      .when(tag(node))
      .gives([]);
    given(repository, [registered, ...full.slice(1)])
      .when(tag({ key: 'n', value: '0' }))
      .gives([full[0] as RepositoryEvent]);
  });

  test('releases the newest build, whichever ends last', () => {
    const newer = { ...release, buildId: 'b2', requestedAt: later };
    given(repository, [registered])
      .when(publish(release))
      .gives([released(release)]);
    given(repository, [registered, released(release)])
      .when(publish(release))
      .gives([]);
    given(repository, [registered, released(release)])
      .when(publish(newer))
      .gives([released(newer)]);
    given(repository, [registered, released(newer)])
      .when(publish(release))
      .gives([]);
  });

  test('whatever is asked, what is decided can be replayed', () => {
    const tags = fc.record(
      { key: fc.constantFrom('a', 'b'), value: fc.constantFrom('1', '2:3', '') },
      { noNullPrototype: true },
    );
    const changes = fc.record(
      { name: fc.string(), homepage: fc.option(fc.string()), ref: fc.option(fc.string()) },
      { requiredKeys: [], noNullPrototype: true },
    );
    const reached = holdsForAnyCommands(
      repository,
      fc.oneof(
        fc.array(tags, { maxLength: 3 }).map(tags => ({ ...register, data: { ...register.data, tags } })),
        changes.map(change),
        tags.map(tag),
        tags.map(untag),
        fc.constantFrom(at, later).map(time => publish({ ...release, buildId: time, requestedAt: time })),
        fc.constant(archive),
      ) as fc.Arbitrary<RepositoryCommand>,
    );
    assert.equal(reached.size, 6, [...reached].join());
  });
});
