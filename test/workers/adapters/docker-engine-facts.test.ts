import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { factsOf } from '../../../workers/adapters/docker-engine-facts.ts';

const able = {
  SecurityOptions: ['name=seccomp,profile=default'],
  Runtimes: { runc: {} },
  MemoryLimit: true,
  CpuCfsQuota: true,
  PidsLimit: true,
};

suite('an engine', () => {
  test('that can confine what it runs may run it', () => {
    assert.deepEqual(factsOf(able), { hasAppArmor: false, runtimes: ['runc'], refusal: undefined });
    const more = { ...able, SecurityOptions: ['name=apparmor', 'name=seccomp,profile=builtin'] };
    assert.deepEqual(factsOf({ ...more, Runtimes: { runc: {}, runsc: {} } }), {
      hasAppArmor: true,
      runtimes: ['runc', 'runsc'],
      refusal: undefined,
    });
  });

  test('that cannot runs nothing, and it is said why', () => {
    const unconfined = { ...able, SecurityOptions: ['name=seccomp,profile=unconfined'] };
    const sentence = 'The engine does not filter system calls (seccomp), so nothing is run on it';
    assert.equal(factsOf(unconfined).refusal, sentence);
    assert.equal(factsOf({ ...able, SecurityOptions: [] }).refusal, sentence);
    assert.equal(
      factsOf({ ...able, MemoryLimit: false, CpuCfsQuota: false, PidsLimit: false }).refusal,
      'The engine does not limit memory, or limit CPU, or limit processes, so nothing is run on it',
    );
  });
});
