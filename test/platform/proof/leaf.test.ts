import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import type { StoredEvent } from '../../../eventstore/store.ts';
import { canonicalJson } from '../../../platform/proof/canonical-json.ts';
import { factsOf, leafOf } from '../../../platform/proof/leaf.ts';

const event: StoredEvent = {
  position: 18_446_744_073_709_551_615n,
  stream: 'apps.build-1',
  revision: 3n,
  id: '00000000-0000-4000-8000-000000000001',
  type: 'BuildFailed',
  isJson: true,
  data: { reason: 'ä"\n', at: '2026-01-01T00:00:00.000Z', count: 1.0 },
  metadata: { actor: 'ann' },
  created: '2026-01-02T03:04:05.678Z',
};

suite('a leaf', () => {
  test('is this text and no other', () => {
    assert.equal(
      leafOf(event),
      '{"created":"2026-01-02T03:04:05.678Z","data":{"at":"2026-01-01T00:00:00.000Z","count":1,"reason":"ä\\"\\n"},' +
        '"id":"00000000-0000-4000-8000-000000000001","json":true,"metadata":{"actor":"ann"},' +
        '"position":"18446744073709551615","revision":"3","stream":"apps.build-1","type":"BuildFailed","v":1}',
    );
  });

  test('is canonical JSON as a whole, and tells what it stands for', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), fc.string(), (data, metadata, stream) => {
        const leaf = leafOf({ ...event, data, metadata, stream });
        assert.equal(canonicalJson(JSON.parse(leaf)), leaf);
        const { isJson: _json, data: _data, metadata: _metadata, ...facts } = { ...event, stream };
        assert.deepEqual(factsOf(leaf), facts);
      }),
    );
  });

  test('of bytes has them in base64', () => {
    const leaf = leafOf({ ...event, isJson: false, data: Uint8Array.of(0, 255), metadata: null });
    assert.match(leaf, /"data":"AP8=","id":.*"json":false,"metadata":null,/);
  });

  test('differs with each of its parts', () => {
    const others: readonly StoredEvent[] = [
      { ...event, position: 1n },
      { ...event, stream: 'apps.build-2' },
      { ...event, revision: 4n },
      { ...event, id: '00000000-0000-4000-8000-000000000002' },
      { ...event, type: 'BuildStarted' },
      { ...event, isJson: false },
      { ...event, data: {} },
      { ...event, metadata: {} },
      { ...event, created: '2026-01-02T03:04:05.679Z' },
    ];
    assert.equal(new Set([event, ...others].map(leafOf)).size, 10);
  });

  test('of content that can be erased is that of its ciphertext, so it stays when the key goes', () => {
    const sealed = { ...event, data: { note: { keyId: 'k1', ciphertext: 'c2VhbGVk' } } };
    assert.match(leafOf(sealed), /"ciphertext":"c2VhbGVk"/);
  });

  test('is not every text', () => {
    for (const text of ['', '{}', 'null', '[]', leafOf(event).slice(1), '{"position":1}'])
      assert.equal(factsOf(text), undefined);
  });
});
