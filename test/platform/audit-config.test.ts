import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { readAudit } from '../../platform/audit-config.ts';

suite('settings of the audit tree', () => {
  test('what cannot be used is refused, with what would be right', () => {
    assert.throws(() => readAudit({ APPHUB_AUDIT_ORIGIN: 'a b' }), /neither spaces/);
    assert.throws(() => readAudit({ APPHUB_AUDIT_CHECKPOINT_EVENTS: '0' }), /from 1 to/);
    assert.throws(() => readAudit({ APPHUB_AUDIT_TREE: 'maybe' }), /true or false/);
    assert.throws(() => readAudit({ APPHUB_SELF_AUDIT_PERCENT: '101' }), /from 0 to 100/);
    assert.equal(readAudit({ APPHUB_SELF_AUDIT_PERCENT: '0' }).selfPercent, 0);
    assert.equal(readAudit({ APPHUB_AUDIT_TREE: 'off' }).enabled, false);
  });
});
