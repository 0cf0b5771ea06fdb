/** Every event has a sentence on the command line, with nothing missing in it. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { sayEvent } from '../../cli/say.ts';
import { sampleEvents } from '../support/recorded.ts';

suite('what the command line says of an event', () => {
  for (const [type, data] of Object.entries(sampleEvents)) {
    test(type, () => {
      const said = sayEvent({ type, data: data as Record<string, unknown> });
      assert.doesNotMatch(said, /undefined|null|NaN|[{}[\]]|\s$/);
      assert.ok(said.length > 3 && !said.startsWith(type), said);
    });
  }

  test('of one that nobody knows yet its name and data are shown', () => {
    assert.equal(sayEvent({ type: 'Later', data: { a: 1 } }), 'Later {"a":1}');
    assert.match(sayEvent({ type: 'constructor', data: {} }), /^constructor/);
  });

  test('what matters of a launch is in it', () => {
    const deployment = 2;
    const say = (type: string, data: object) => sayEvent({ type, data: { deployment, ...data } });
    const ended = { reason: 'It ended', exitCode: 3 };
    assert.equal(say('LaunchCrashed', ended), 'deployment 2 ended by itself: It ended (exit code 3)');
    assert.match(say('LaunchFailed', { ...ended, isLoop: true }), /again and again/);
    assert.equal(
      say('LaunchSlept', { reason: 'evicted', because: 'too many' }),
      'fell asleep (made room): too many',
    );
    const another = { cause: 'rollback', image: 'apphub/x:1', superseded: 1, notBefore: null };
    assert.equal(
      say('LaunchDeploymentRequested', another),
      'deployment 2: roll back with apphub/x:1, in place of deployment 1',
    );
    assert.equal(
      sayEvent({
        type: 'RepositorySandboxChanged',
        data: { sandbox: { egress: ['a.example'], allowRoot: true } },
      }),
      'confined anew: speaks to a.example, may be root',
    );
  });
});
