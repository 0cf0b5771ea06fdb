/** What the page believes somebody may do is what the server believes. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import * as domain from '../../../domain/access/scope.ts';

type Page = {
  scopeMeanings: Record<string, string>;
  grants(granted: readonly string[], scope: string): boolean;
  isAmong(patterns: readonly string[] | null, id: string): boolean;
  scopesByContext(granted: readonly string[]): [string, string[]][];
};
// The page's files are JavaScript, checked by a configuration of their own.
const page = (await import(new URL('../../../web/lib/scopes.js', import.meta.url).href)) as Page;

suite('scopes in the page', () => {
  test('are those of the server, in the same words', () => {
    assert.deepEqual(page.scopeMeanings, domain.scopeMeanings);
  });

  test('are granted as the server grants them', () => {
    const credentials = [[], ['*'], ['apps:*'], ['apps:read', 'admin'], ['admin:*'], ['apps'], ['nothing:*']];
    for (const granted of credentials) {
      for (const scope of domain.scopes) {
        assert.equal(page.grants(granted, scope), domain.grants(granted, scope), `${granted}: ${scope}`);
      }
    }
  });

  test('reach the apps that the server lets them reach', () => {
    for (const patterns of [null, [], ['shop'], ['team-*'], ['team-*', 'shop']]) {
      for (const id of ['shop', 'shop-two', 'team-a', 'team', 'other']) {
        assert.equal(page.isAmong(patterns, id), domain.isAmong(patterns, id), `${patterns}: ${id}`);
      }
    }
  });

  test('are offered by context, and none that is not held', () => {
    assert.deepEqual(page.scopesByContext(['apps:*', 'admin']), [
      ['apps', ['apps:read', 'apps:write', 'apps:launch']],
      ['admin', ['admin']],
    ]);
    assert.deepEqual(page.scopesByContext([]), []);
  });
});
