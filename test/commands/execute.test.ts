/** Load, decide, append: lost races, lost answers, and a log that is away. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { execute } from '../../commands/execute.ts';
import { type RepositoryCommand, repository } from '../../domain/apps/repository.ts';
import { Refusal } from '../../domain/kernel/refusal.ts';
import { memoryStore } from '../../eventstore/memory.ts';
import { type EventStore, LogUnavailable, WrongRevision } from '../../eventstore/store.ts';

const at = '2026-01-02T03:04:05.000Z';
const by = (cause: string) => ({ actor: 'ann', correlationId: `of ${cause}`, causationId: cause, time: at });
const tag = (value: string) =>
  ({ type: 'TagRepository', data: { appId: 'todo', at, tag: { key: 'k', value } } }) as const;
const registration: RepositoryCommand = {
  type: 'RegisterRepository',
  data: {
    appId: 'todo',
    at,
    name: 'Todo',
    description: null,
    repoUrl: 'https://git.example/todo.git',
    ref: null,
    dockerfilePath: null,
    homepage: null,
    owner: null,
    tags: [],
  },
};

async function registered(): Promise<EventStore> {
  const store = memoryStore();
  await execute(store, repository, 'todo', registration, by('0'));
  return store;
}

/** A log whose appends do something else first, one after the other. */
function withAppends(
  store: EventStore,
  ...before: readonly ((append: () => Promise<unknown>) => Promise<void>)[]
): EventStore {
  const left = [...before];
  return {
    ...store,
    async append(...given) {
      await left.shift()?.(() => store.append(...given));
      return store.append(...given);
    },
  };
}

suite('execute', () => {
  test('what was decided is stored with its cause, and the answer tells where and what is now', async () => {
    const store = await registered();
    const { position, changed, state } = await execute(store, repository, 'todo', tag('v'), by('1'));
    const { events, revision } = await store.load('apps.repository-todo');
    assert.deepEqual([position, changed, revision], [events[1]?.position, true, 1n]);
    assert.deepEqual(events[1]?.metadata, by('1'));
    assert.deepEqual(state.status === 'registered' && state.tags, [{ key: 'k', value: 'v' }]);
  });

  test('what already is, is answered with the end of the stream; what is not there, is refused', async () => {
    const store = await registered();
    const first = await execute(store, repository, 'todo', tag('v'), by('1'));
    const again = await execute(store, repository, 'todo', tag('v'), by('2'));
    assert.deepEqual([again.position, again.changed], [first.position, false]);
    await assert.rejects(execute(store, repository, 'else', tag('v'), by('3')), {
      name: Refusal.name,
      code: 'not-found',
    });
    assert.deepEqual((await store.load('apps.repository-else')).events, []);
  });

  test('who comes second decides afresh on what the first has made of it', async () => {
    const store = await registered();
    const racing = withAppends(store, async () => {
      await execute(store, repository, 'todo', tag('first'), by('other'));
    });
    const { state } = await execute(racing, repository, 'todo', tag('second'), by('1'));
    assert.deepEqual(state.status === 'registered' && state.tags.map(({ value }) => value), [
      'first',
      'second',
    ]);
    const same = withAppends(store, async () => {
      await execute(store, repository, 'todo', tag('third'), by('other'));
    });
    const none = await execute(same, repository, 'todo', tag('third'), by('2'));
    assert.equal(none.changed, false, 'the first one has done the same');
  });

  test('who always comes second gives up at last', async () => {
    const store = await registered();
    let races = 0;
    const busy: EventStore = {
      ...store,
      async append() {
        races += 1;
        throw new WrongRevision('busy');
      },
    };
    await assert.rejects(execute(busy, repository, 'todo', tag('v'), by('1')), WrongRevision);
    assert.ok(races > 1 && races < 100, `${races} races`);
  });

  test('an append whose answer was lost is stored once', async () => {
    const store = await registered();
    const lossy = withAppends(store, async append => {
      await append();
      throw new LogUnavailable('the answer was lost');
    });
    const { changed } = await execute(lossy, repository, 'todo', tag('v'), by('1'));
    assert.equal(changed, true);
    assert.equal((await store.load('apps.repository-todo')).events.length, 2);
  });

  test('a log that stays away is said to be away', async () => {
    const away: EventStore = {
      ...memoryStore(),
      append: async () => Promise.reject(new LogUnavailable('away')),
    };
    await assert.rejects(execute(away, repository, 'todo', registration, by('1')), LogUnavailable);
  });

  test('a cause that comes once only is found again behind what came after it', async () => {
    const store = await registered();
    const first = await execute(store, repository, 'todo', tag('v'), by('1'), { once: true });
    await execute(store, repository, 'todo', { type: 'UntagRepository', data: tag('v').data }, by('2'));
    const again = await execute(store, repository, 'todo', tag('v'), by('1'), { once: true });
    assert.deepEqual([again.position, again.changed], [first.position, false]);
    assert.equal(
      (await execute(store, repository, 'todo', tag('v'), by('1'))).changed,
      true,
      'without once, it is done',
    );
  });
});
