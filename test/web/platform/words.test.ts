/** What the page says of tables that are made anew and watched. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { suite, test } from 'node:test';
import type { Divergence, ProjectionTables, SelfAudit, TablesBeside } from '../../../web/platform/shapes.js';

type Words = {
  divergenceWords(divergence: Divergence): string;
  isUnderWay(projection: ProjectionTables): boolean;
  keyWords(key: string): string;
  partOf(filled: TablesBeside): number | undefined;
  progressWords(filled: TablesBeside): string;
  standingOf(projection: ProjectionTables): { status: string; word: string };
  summaryOf(projections: ProjectionTables[]): string;
};
const file = path.resolve(import.meta.dirname, '../../../web/platform/tables-words.js');
const { divergenceWords, isUnderWay, keyWords, partOf, progressWords, standingOf, summaryOf } = (await import(
  file
)) as Words;

const beside: TablesBeside = {
  generation: 2,
  version: 1,
  role: 'next',
  position: '5',
  problem: null,
  startedAt: '2026-01-01T00:00:00.000Z',
  events: 1_200,
  eventsTotal: 4_800,
  eventsPerSecond: 18_000,
  secondsLeft: 3,
};
const audit: SelfAudit = {
  state: 'sound',
  rows: 40,
  wrongRows: 0,
  soundUpTo: '9',
  checkedAt: '2026-01-01T00:00:00.000Z',
  shadowPosition: '9',
  repairWanted: false,
  repairProblem: null,
};
const tables = (more: Partial<ProjectionTables> = {}): ProjectionTables => ({
  name: 'apps_builds',
  version: 1,
  generation: 1,
  position: '9',
  movedAt: null,
  events: 4_800,
  lagEvents: 0,
  lagSeconds: 0,
  deadLetters: 0,
  waitingEvents: 0,
  problem: null,
  beside: [],
  audit,
  ...more,
});

suite('tables in words', () => {
  test('how far new ones are', () => {
    assert.equal(progressWords(beside), '1,200 of 4,800 events, 18,000 a second, 3 s left');
    assert.equal(partOf(beside), 0.25);
    const unknown = { ...beside, events: null, eventsPerSecond: null, secondsLeft: null };
    assert.deepEqual([progressWords(unknown), partOf(unknown)], ['events are being counted', undefined]);
    assert.equal(partOf({ ...beside, events: 0, eventsTotal: 0 }), 1);
    assert.match(progressWords({ ...beside, secondsLeft: 600 }), /10 min left$/);
  });

  test('how a projection stands', () => {
    assert.equal(standingOf(tables()).word, 'Sound');
    assert.equal(standingOf(tables({ audit: null })).word, 'Not watched');
    assert.equal(standingOf(tables({ audit: { ...audit, checkedAt: null } })).word, 'Not looked at yet');
    assert.equal(standingOf(tables({ audit: { ...audit, wrongRows: 1 } })).word, '1 row wrong');
    assert.equal(standingOf(tables({ beside: [beside] })).word, 'Made anew');
    assert.equal(standingOf(tables({ beside: [{ ...beside, problem: 'x' }] })).word, 'New tables differ');
    assert.equal(standingOf(tables({ audit: { ...audit, repairWanted: true } })).word, 'Being mended');
    assert.equal(standingOf(tables({ deadLetters: 2 })).word, '2 streams stopped');
    assert.equal(standingOf(tables({ problem: 'It stands still' })).word, 'Stands still');
    assert.deepEqual([tables(), tables({ beside: [beside] })].map(isUnderWay), [false, true]);
  });

  test('all of them', () => {
    assert.equal(summaryOf([tables(), tables()]), '2 projections, no row known that is wrong');
    const some = [tables({ beside: [beside] }), tables({ audit: { ...audit, wrongRows: 3 } })];
    assert.equal(summaryOf(some), '2 projections, 1 being made anew, 3 rows wrong');
  });

  test('what cannot be applied is said of all', () => {
    assert.equal(
      summaryOf([tables({ deadLetters: 2 }), tables()]),
      '2 projections, 2 events that cannot be applied, no row known that is wrong',
    );
  });

  test('a row that is wrong', () => {
    const one = { table: 't', key: '{"app_id":"todo"}', comparedAt: '9', foundAt: '' };
    const changed = { ...one, kind: 'changed' as const, columns: ['name'], position: '4', soundUpTo: '3' };
    assert.equal(keyWords(one.key), 'app_id todo');
    assert.equal(
      divergenceWords(changed),
      'name is not what the log says; the first event it does not hold is at 4; its table was sound at 3',
    );
    const extra = { ...one, kind: 'extra' as const, columns: [], position: null, soundUpTo: null };
    assert.equal(divergenceWords(extra), 'should not be there');
  });
});
