/** The record's filters in the address, and what browsers are called. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';

type Filters = { actor: string; action: string; target: string; outcome: string; from: string; to: string };
type Address = {
  filtersOf(query: URLSearchParams): Filters;
  auditUrl(filters: Filters): string;
  localOf(time: string): string;
  timeOf(local: string): string;
};
// The page's files are JavaScript, checked by a configuration of their own.
const load = (file: string) => import(new URL(`../../../web/access/${file}`, import.meta.url).href);
const { filtersOf, auditUrl, localOf, timeOf } = (await load('audit-address.js')) as Address;
const { browserIn } = (await load('browser.js')) as { browserIn(userAgent: string): string };

suite('filters of the record', () => {
  test('are the address and nothing else', () => {
    const address =
      '/access/audit?actor=ada&target=apps%2Fteam-*&outcome=refused&from=2026-01-02T03%3A04%3A00.000Z';
    assert.equal(auditUrl(filtersOf(new URL(address, 'http://x').searchParams)), address);
    assert.equal(auditUrl(filtersOf(new URLSearchParams('q=1&actor=+'))), '/access/audit');
  });

  test('show a time as it is here, and take it back', () => {
    const time = '2026-07-02T03:04:00.000Z';
    assert.equal(timeOf(localOf(time)), time);
    assert.equal(localOf('yesterday'), '');
    assert.equal(timeOf(''), '');
  });
});

suite('a browser is called by the name people know', () => {
  const chrome =
    'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0';
  for (const [userAgent, name] of [
    [`${chrome} Safari/537.36`, 'Chrome on Windows'],
    [`${chrome} Safari/537.36 Edg/150.0`, 'Edge on Windows'],
    ['Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0', 'Firefox on Linux'],
    [
      'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605 Version/18 Safari/605',
      'Safari on macOS',
    ],
    [
      'Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 Chrome/150.0 Mobile Safari/537.36',
      'Chrome on Android',
    ],
    ['curl/8.1', 'curl'],
    ['robot 1', 'robot'],
    ['', 'Unknown browser'],
  ] as const) {
    test(name, () => assert.equal(browserIn(userAgent), name));
  }
});
