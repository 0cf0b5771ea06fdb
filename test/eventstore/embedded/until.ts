/** Waits for a condition, and fails when it does not come. */
import assert from 'node:assert/strict';

const waitMsMax = 10_000;

export async function until(met: () => boolean | Promise<boolean>, what = 'the condition'): Promise<void> {
  const giveUp = Date.now() + waitMsMax;
  while (!(await met())) {
    assert.ok(Date.now() < giveUp, `waited too long for ${what}`);
    await new Promise(resolve => setImmediate(resolve));
  }
}
