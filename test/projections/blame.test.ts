/** Who set each value, by the operations of made-up projections. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { EventType, Recorded } from '../../domain/events.ts';
import { blame } from '../../projections/blame.ts';
import {
  add,
  drop,
  dropAll,
  type Op,
  type Projection,
  patch,
  put,
  type Row,
} from '../../projections/projection.ts';

/** A projection that does what its events say; the type of the event does not matter. */
const projection: Projection = {
  name: 'made_up',
  version: 1,
  tables: { things: ['id'], parts: ['id', 'part'] },
  createTables: schema => schema,
  on: { RepositoryTagged: event => (event as unknown as { ops: readonly Op[] }).ops },
};

let position = 0n;
function does(...ops: Op[]): Recorded {
  position += 1n;
  const type: EventType = 'RepositoryTagged';
  return { type, id: `e${position}`, position, ops } as unknown as Recorded;
}

const of = (wanted: Readonly<Record<string, Row>>, ...events: Recorded[]) =>
  blame([projection], wanted, events).map(({ table, key, columns }) => ({
    table,
    key,
    columns: Object.fromEntries(
      [...columns].map(([column, changes]) => [
        column,
        changes.map(({ value, event }) => [value, events.indexOf(event)]),
      ]),
    ),
  }));

suite('each value', () => {
  test('was set by the last event that changed it; the same again sets nothing', () => {
    const found = of(
      { things: { id: 'a' } },
      does(put('things', { id: 'a', name: 'one', size: { wide: 1 } })),
      does(patch('things', { id: 'a' }, { name: 'two' })),
      does(patch('things', { id: 'a' }, { name: 'two', size: { wide: 1 } })),
      does(put('things', { id: 'b', name: 'other' })),
    );
    assert.deepEqual(found, [
      {
        table: 'things',
        key: { id: 'a' },
        columns: {
          name: [
            ['one', 0],
            ['two', 1],
          ],
          size: [[{ wide: 1 }, 0]],
        },
      },
    ]);
  });

  test('that was added up was set by the last that added to it', () => {
    const [row] = of(
      { things: { id: 'a' } },
      does(add('things', { id: 'a' }, { count: 2 })),
      does(add('things', { id: 'a' }, { count: 0 })),
      does(add('things', { id: 'a' }, { count: 3 })),
    );
    assert.deepEqual(row?.columns, {
      count: [
        [2, 0],
        [5, 2],
      ],
    });
  });

  test('of a row that has gone is nobody’s; one that comes again begins anew', () => {
    const gone = [
      does(put('parts', { id: 'a', part: 1, name: 'one' }), put('parts', { id: 'a', part: 2, name: 'two' })),
      does(drop('parts', { part: 1, id: 'a' })),
      does(patch('parts', { id: 'a', part: 1 }, { name: 'late' })),
    ];
    const two = { table: 'parts', key: { id: 'a', part: 2 }, columns: { name: [['two', 0]] } };
    assert.deepEqual(of({ parts: { id: 'a' } }, ...gone), [two]);
    assert.deepEqual(of({ parts: { id: 'a' } }, ...gone, does(dropAll('parts', { id: 'a' }))), []);
    const again = does(put('parts', { id: 'a', part: 1, name: 'again' }));
    assert.deepEqual(of({ parts: { id: 'a', part: 1 } }, ...gone, again), [
      { table: 'parts', key: { id: 'a', part: 1 }, columns: { name: [['again', 3]] } },
    ]);
  });
});
