import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { ImageFacts } from '../../../workers/adapters/docker-image-facts.ts';
import { LaunchFailure } from '../../../workers/adapters/docker-types.ts';
import { serviceOptions } from '../../../workers/adapters/swarm-service.ts';
import { startRequest } from '../../support/docker.ts';

const image: ImageFacts = { user: { uid: 1000, gid: 1000 }, env: [], volumes: [], passwd: [] };

const optionsOf = (changes: { image?: Partial<ImageFacts>; healthInterval?: number } = {}) =>
  serviceOptions({
    request: startRequest('a', 'sha256:1'),
    image: { ...image, ...changes.image },
    healthInterval: changes.healthInterval,
    pushed: { repository: 'registry.example.org/hello', digest: 'sha256:2' },
    instance: 'one',
    name: 'apphub-a-1',
    networkId: 'n',
    constraints: ['node.id!=x'],
  });

type Task = { ContainerSpec: Record<string, unknown>; RestartPolicy: unknown; Placement: unknown };
const taskOf = (options: ReturnType<typeof optionsOf>) => options.TaskTemplate as unknown as Task;

suite('the service of a launch', () => {
  test('is of one task that is never started again, of the image by its digest', () => {
    const options = optionsOf();
    const task = taskOf(options);
    assert.deepEqual(options.Mode, { Replicated: { Replicas: 1 } });
    assert.deepEqual(task.RestartPolicy, { Condition: 'none' });
    assert.deepEqual(task.Placement, { Constraints: ['node.id!=x'] });
    assert.equal(task.ContainerSpec.Image, 'registry.example.org/hello@sha256:2');
    assert.deepEqual(options.Labels, task.ContainerSpec.Labels);
  });

  test('runs an image that says root as nobody', () => {
    assert.equal(taskOf(optionsOf({ image: { user: null } })).ContainerSpec.User, '65534:65534');
  });

  test('is asked by its HEALTHCHECK soon, and not more seldom than the image says', () => {
    const intervalOf = (healthInterval?: number) =>
      (
        taskOf(optionsOf(healthInterval === undefined ? {} : { healthInterval })).ContainerSpec.Healthcheck as
          | { Interval: number }
          | undefined
      )?.Interval;
    assert.deepEqual([intervalOf(), intervalOf(30e9), intervalOf(1e9)], [undefined, 3e9, 1e9]);
  });

  test('has folders in memory for volumes that are empty, and is none where they are not', () => {
    const mounts = taskOf(
      optionsOf({ image: { volumes: [{ path: '/data', isEmpty: true }] } }),
    ).ContainerSpec;
    assert.ok((mounts.Mounts as { Target: string }[]).some(({ Target }) => Target === '/data'));
    assert.throws(
      () => optionsOf({ image: { volumes: [{ path: '/data', isEmpty: false }] } }),
      error => error instanceof LaunchFailure && /brings files along in the volume \/data/.test(error.reason),
    );
  });
});
