import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { deathOf, type FoundService, hostPortOf, stateOf } from '../../../workers/adapters/swarm-found.ts';
import type { SwarmNode, SwarmTask } from '../../../workers/adapters/swarm-types.ts';

const madeAt = '2026-01-01T10:00:00.5Z';
const service = { ID: 's', CreatedAt: madeAt, Spec: { Name: 'apphub-a-1', Labels: {} } };

function found(
  state: string,
  changes: Partial<SwarmTask['Status']> = {},
  { nodeState = 'ready', desired = 'running', createdAt = madeAt } = {},
): FoundService {
  const node: SwarmNode = {
    ID: 'n',
    Spec: { Availability: 'active' },
    Status: { State: nodeState },
    Description: { Hostname: 'east-2' },
  };
  const task = { ID: 't', ServiceID: 's', NodeID: 'n', CreatedAt: createdAt, DesiredState: desired };
  return { service, node, task: { ...task, Status: { State: state, ...changes } } };
}

suite('a task of a swarm', () => {
  for (const [given, expected] of [
    [found('preparing'), 'created'],
    [found('running'), 'running'],
    [found('complete'), 'ended'],
    [found('failed'), 'ended'],
    [found('rejected'), 'ended'],
    [found('running', {}, { nodeState: 'down' }), 'ended'],
    [found('running', {}, { nodeState: 'unknown' }), 'running'],
    [found('running', {}, { desired: 'shutdown' }), 'ended'],
    [{ service, task: undefined, node: undefined }, 'created'],
  ] satisfies [FoundService, string][]) {
    const { State: state = 'none' } = given.task?.Status ?? {};
    test(`that is ${state} on a node that is ${given.node?.Status.State ?? 'none'} is ${expected}`, () => {
      assert.equal(stateOf(given), expected);
    });
  }

  test('that the swarm has made by itself is not the one that was asked for', () => {
    const second = found('running', {}, { createdAt: '2026-01-01T10:02:00.5Z' });
    assert.equal(stateOf(second), 'ended');
    assert.equal(deathOf(second).reason, 'The node of the app was taken out of the swarm');
    assert.equal(stateOf(found('running', {}, { createdAt: '2026-01-01T10:00:03Z' })), 'running');
  });

  test('is reached where its node says, or else where it once said', () => {
    const said = found('running', { PortStatus: { Ports: [{ PublishedPort: 32_768 }] } });
    assert.equal(hostPortOf(said), 32_768);
    const forgotten = found('running', { PortStatus: {} });
    assert.equal(hostPortOf(forgotten), undefined);
    const labels = { 'apphub.port': '32769' };
    const kept = { ...forgotten, service: { ...service, Spec: { ...service.Spec, Labels: labels } } };
    assert.equal(hostPortOf(kept), 32_769);
  });

  test('ended by itself, and its exit code is known', () => {
    const end = deathOf(
      found('failed', { Err: 'task: non-zero exit (7)', ContainerStatus: { ExitCode: 7 } }),
    );
    assert.deepEqual(end, {
      reason: 'The app ended by itself with exit code 7',
      exitCode: 7,
      oomKilled: false,
    });
  });

  test('was killed, and why is only guessed', () => {
    const end = deathOf(found('failed', { ContainerStatus: { ExitCode: 137 } }));
    assert.match(end.reason, /137: it was killed, as it is for more memory than it may use$/);
    assert.equal(end.oomKilled, false);
  });

  test('is over with its node', () => {
    const end = deathOf(found('running', { ContainerStatus: { ExitCode: 0 } }, { nodeState: 'down' }));
    assert.equal(end.reason, 'The node east-2 of the swarm is away');
  });

  test('was not taken by its node, whose words are passed on', () => {
    const end = deathOf(found('rejected', { Err: 'No such image: a@sha256:1' }));
    assert.deepEqual([end.reason, end.exitCode], ['No such image: a@sha256:1', -1]);
  });

  test('was ended by the swarm because its HEALTHCHECK said no', () => {
    const end = deathOf(
      found('failed', { Err: 'task: unhealthy container', ContainerStatus: { ExitCode: 137 } }),
    );
    assert.match(end.reason, /not healthy by its HEALTHCHECK/);
  });
});
