/** What a launch uses, as the page says and draws it. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';

type Sample = { at: string; cpus: number; memoryBytes: number };
type Container = Record<string, unknown>;
type Words = {
  cpuWords(one: Container): string;
  memoryWords(one: Container): string;
  shortWords(one: Container): string;
  sumWords(sums: { cpuSeconds: number; memoryMbHours: number }): string;
  coresOf(cpus: number): string;
  linePoints(recent: Sample[], numberIn: (sample: Sample) => number, max: number): string;
  lineWords(
    recent: Sample[],
    numberIn: (sample: Sample) => number,
    wordOf: (value: number) => string,
  ): string;
  rowsOf(recent: Sample[]): Sample[];
};
// The page's files are JavaScript, checked by a configuration of their own.
const words = (await import(new URL('../../../web/apps/usage-words.js', import.meta.url).href)) as Words;

const at = (second: number) =>
  new Date(Date.parse('2026-01-01T00:00:00.000Z') + second * 1_000).toISOString();
const sample = (second: number, cpus: number, memoryBytes = 5_000_000) => ({
  at: at(second),
  cpus,
  memoryBytes,
});
const container = {
  deployment: 1,
  readAt: at(0),
  cpus: 0.254,
  cpusMax: 0.5,
  memoryBytes: 5_000_000,
  memoryBytesMax: 268_435_456,
  processes: 3,
  processesMax: 128,
  recent: [],
};

suite('what a launch uses', () => {
  test('is said with what it may use', () => {
    assert.equal(words.cpuWords(container), '0.25 of 0.5 cores');
    assert.equal(words.cpuWords({ ...container, cpus: null, cpusMax: 1 }), 'at most 1 core');
    assert.equal(words.memoryWords(container), '5.0 MB of 268 MB');
    assert.equal(words.shortWords(container), 'CPU 51 % · 5.0 MB');
    assert.equal(words.shortWords({ ...container, cpus: null }), '5.0 MB');
    assert.equal(
      words.sumWords({ cpuSeconds: 12.34, memoryMbHours: 1_234.5 }),
      `12.3 CPU seconds and ${(1_235).toLocaleString()} MB-hours of memory`,
    );
  });

  test('is drawn by time and up to the limit, and the line has a text', () => {
    const recent = [sample(0, 0), sample(10, 0.25), sample(20, 9)];
    const points = words.linePoints(recent, ({ cpus }) => cpus, 0.5);
    assert.equal(points, '0.0,100.0 50.0,50.0 100.0,0.0');
    const said = words.lineWords(recent, ({ cpus }) => cpus, words.coresOf);
    assert.match(said, /^Since .*: from 0 cores to 9 cores, now 9 cores\.$/);
    assert.equal(
      words.lineWords([], ({ cpus }) => cpus, words.coresOf),
      'There are no readings yet.',
    );
  });

  test('is listed a minute apart, the newest first', () => {
    const recent = [0, 30, 60, 95, 130].map(second => sample(second, second));
    assert.deepEqual(
      words.rowsOf(recent).map(({ cpus }) => cpus),
      [130, 60, 0],
    );
  });
});
