/** What the engine is told about a container: the decisions. That the engine does it is tried in docker-confine.e2e.ts. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { type Confined, containerOptions } from '../../../workers/adapters/docker-confine.ts';
import { LaunchFailure, type StartContainerRequest } from '../../../workers/adapters/docker-types.ts';
import { startRequest } from '../../support/docker.ts';

type Changes = Partial<Omit<Confined, 'request'>> & { request?: Partial<StartContainerRequest> };

function optionsOf({ request, ...changes }: Changes = {}) {
  return containerOptions({
    request: startRequest('launch', 'sha256:1', request),
    image: { user: { uid: 1000, gid: 1000 }, env: [], volumes: [], passwd: [] },
    engine: { hasAppArmor: false, runtimes: ['runc'], refusal: undefined },
    plug: { networkId: 'net', publishAddress: undefined, egressProxy: undefined },
    instance: 'apphub',
    name: 'apphub-launch-1',
    ...changes,
  });
}

const image = { user: null, env: [], volumes: [], passwd: [] };
const reasonOf = (changes: Changes): string => {
  try {
    optionsOf(changes);
  } catch (error) {
    assert.ok(error instanceof LaunchFailure);
    assert.equal(error.retryable, false);
    return error.reason;
  }
  return 'it is started';
};

suite('who a container runs as', () => {
  test('is who its image says, where that is not root', () => {
    const { User, Labels } = optionsOf();
    assert.deepEqual([User, Labels?.['apphub.demoted']], [undefined, undefined]);
  });

  test('is nobody, with a home to write in, where the image says root', () => {
    const { User, Labels, Env } = optionsOf({ image });
    assert.deepEqual([User, Labels?.['apphub.demoted']], ['65534:65534', 'true']);
    assert.ok(Env?.includes('HOME=/tmp'));
    const known = { ...image, env: ['HOME=/srv'], passwd: [{ name: 'nobody', uid: 65_534, gid: 65_534 }] };
    assert.ok(!optionsOf({ image: known }).Env?.some(line => line.startsWith('HOME=')));
  });

  test('is root where the app is marked', () => {
    const { User, Labels, HostConfig } = optionsOf({ image, request: { allowRoot: true } });
    assert.deepEqual([User, Labels?.['apphub.demoted']], [undefined, undefined]);
    assert.match(HostConfig?.Tmpfs?.['/tmp'] ?? '', /,uid=0,gid=0$/);
    assert.deepEqual(HostConfig?.CapDrop, ['ALL']);
  });

  test('is nobody only if that is nobody in the image too', () => {
    const passwd = [{ name: '65534', uid: 0, gid: 0 }];
    assert.match(reasonOf({ image: { ...image, passwd } }), /has another user named 65534/);
  });
});

suite('what a container may write to', () => {
  test('is of its user, sized, and can set no user and no device', () => {
    const { HostConfig } = optionsOf({ request: { tmpfsBytes: 1_000_000 } });
    const room = 'size=1000000,nr_inodes=65536,uid=1000,gid=1000';
    assert.deepEqual(HostConfig?.Tmpfs, {
      '/tmp': `rw,nosuid,nodev,exec,mode=1777,${room}`,
      '/run': `rw,nosuid,nodev,noexec,mode=755,${room}`,
      '/var/tmp': `rw,nosuid,nodev,noexec,mode=1777,${room}`,
    });
    assert.equal(HostConfig?.ShmSize, 1_000_000);
    assert.equal(HostConfig?.ReadonlyRootfs, true);
  });

  test('are its declared volumes too; one that brings files along can be read', () => {
    const volumes = [
      { path: '/data', isEmpty: true },
      { path: '/app', isEmpty: false },
      { path: '/tmp', isEmpty: false },
    ];
    const { HostConfig } = optionsOf({ image: { ...image, user: { uid: 7, gid: 8 }, volumes } });
    assert.match(
      HostConfig?.Tmpfs?.['/data'] ?? '',
      /^rw,nosuid,nodev,exec,size=\d+,nr_inodes=65536,uid=7,gid=8$/,
    );
    const [mount, ...others] = HostConfig?.Mounts ?? [];
    assert.deepEqual(
      [mount?.Type, mount?.Source, mount?.Target, mount?.ReadOnly, others],
      ['volume', 'apphub-launch-1-1', '/app', true, []],
    );
    assert.deepEqual(mount?.VolumeOptions?.Labels, {
      'apphub.instance': 'apphub',
      'apphub.launch': 'launch',
      'apphub.deployment': '1',
      'apphub.event': 'e1',
      'apphub.copy': 'true',
    });
  });
});

suite('what a container is not started on', () => {
  test('an engine that cannot confine it', () => {
    const engine = { hasAppArmor: false, runtimes: [], refusal: 'The engine does not limit memory' };
    assert.equal(reasonOf({ engine }), 'The engine does not limit memory');
  });

  test('an engine without the runtime it asks for', () => {
    assert.match(
      reasonOf({ request: { runtime: 'runsc' } }),
      /asks for the runtime runsc, which this engine/,
    );
    const engine = { hasAppArmor: true, runtimes: ['runc', 'runsc'], refusal: undefined };
    const { HostConfig } = optionsOf({ engine, request: { runtime: 'runsc' } });
    assert.equal(HostConfig?.Runtime, 'runsc');
    assert.deepEqual([HostConfig?.PidsLimit, optionsOf({ engine }).HostConfig?.PidsLimit], [32 + 256, 32]);
    assert.deepEqual(HostConfig?.SecurityOpt, ['no-new-privileges', 'apparmor=docker-default']);
    assert.equal(optionsOf({ engine }).HostConfig?.Runtime, undefined);
  });
});

suite('how a container is reached, and where it gets to', () => {
  test('nothing is published where it is reached directly', () => {
    const { HostConfig, ExposedPorts, Env } = optionsOf();
    assert.deepEqual([HostConfig?.PortBindings, ExposedPorts], [undefined, undefined]);
    assert.deepEqual(Env, ['PORT=8080']);
  });

  test('else its port is published at one address, by a number the engine chooses', () => {
    const plug = { networkId: 'net', publishAddress: '10.0.0.5', egressProxy: undefined };
    assert.deepEqual(optionsOf({ plug }).HostConfig?.PortBindings, {
      '8080/tcp': [{ HostIp: '10.0.0.5', HostPort: '' }],
    });
  });

  test('it is told of the way out where it has one; what the app was given goes before', () => {
    const plug = { networkId: 'net', publishAddress: undefined, egressProxy: 'http://10.213.0.1:4128' };
    const env = [
      { key: 'PORT', value: '3000' },
      { key: 'HTTPS_PROXY', value: 'http://mine' },
    ];
    const { Env, Labels } = optionsOf({ plug, request: { env, egress: ['api.example.org'] } });
    assert.deepEqual(Env?.toSorted(), [
      'HTTPS_PROXY=http://mine',
      'HTTP_PROXY=http://10.213.0.1:4128',
      'NODE_USE_ENV_PROXY=1',
      'NO_PROXY=localhost,127.0.0.1,::1',
      'PORT=3000',
      'http_proxy=http://10.213.0.1:4128',
      'https_proxy=http://10.213.0.1:4128',
      'no_proxy=localhost,127.0.0.1,::1',
    ]);
    assert.equal(Labels?.['apphub.egress'], '["api.example.org"]');
  });
});
