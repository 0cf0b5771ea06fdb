import assert from 'node:assert/strict';
import path from 'node:path';
import { suite, test } from 'node:test';
import { ConfigError, readConfig } from '../../platform/config.ts';
import { readEngines } from '../../platform/engines-config.ts';

const gib = 1024 ** 3;
const plain = {
  kind: 'engine',
  tls: undefined,
  address: undefined,
  labels: {},
  limits: { cpus: undefined, memoryBytes: undefined, launches: undefined },
  builds: true,
} as const;

suite('the engines of an installation', () => {
  test('are one, on this machine, without settings', () => {
    const local = { ...plain, name: 'default', url: 'unix:///var/run/docker.sock' };
    assert.deepEqual(readEngines({}), { list: [local], awaySeconds: 60 });
  });

  test('are the one of DOCKER_HOST', () => {
    const [engine] = readEngines({ DOCKER_HOST: 'tcp://10.0.0.5:2375' }).list;
    assert.deepEqual(engine, { ...plain, name: 'default', url: 'tcp://10.0.0.5:2375' });
    assert.equal(readEngines({ DOCKER_HOST: 'http://e.example:2375/' }).list[0]?.url, 'tcp://e.example:2375');
  });

  test('use certificates as the docker command does', () => {
    const env = { DOCKER_HOST: 'tcp://10.0.0.5:2376', DOCKER_TLS_VERIFY: '1', DOCKER_CERT_PATH: 'certs' };
    const file = (name: string) => path.resolve('certs', name);
    const tls = { ca: file('ca.pem'), cert: file('cert.pem'), key: file('key.pem') };
    assert.deepEqual(readEngines(env).list[0]?.tls, tls);
    assert.equal(readEngines({ ...env, DOCKER_HOST: 'unix:///run/docker.sock' }).list[0]?.tls, undefined);
    assert.equal(readEngines({ ...env, DOCKER_TLS_VERIFY: '' }).list[0]?.tls, undefined);
  });

  test('are those of DOCKER_HOSTS in its short form, and DOCKER_HOST is none of them', () => {
    const { list, awaySeconds } = readEngines({
      DOCKER_HOST: 'unix:///run/docker.sock',
      DOCKER_HOSTS: 'here=unix:///run/docker.sock,  there=swarm+tcp://10.0.0.7:2375',
      APPHUB_ENGINE_AWAY_SECONDS: '15',
    });
    assert.equal(awaySeconds, 15);
    assert.deepEqual(list, [
      { ...plain, name: 'here', url: 'unix:///run/docker.sock' },
      { ...plain, name: 'there', kind: 'swarm', url: 'tcp://10.0.0.7:2375', builds: false },
    ]);
  });

  test('say all of themselves as JSON', () => {
    const tls = { ca: '/certs/ca.pem', cert: '/certs/cert.pem', key: '/certs/key.pem' };
    const given = {
      name: 'east-1',
      url: 'tcp://10.0.0.5:2376',
      tls,
      address: '10.0.0.5',
      labels: { zone: 'east', 'gpu.kind': 'none' },
      cpus: 7.5,
      memory: '16g',
      launches: 40,
      builds: true,
    };
    const second = { name: 'b', url: 'unix:///run/b.sock', builds: false };
    assert.deepEqual(readEngines({ DOCKER_HOSTS: JSON.stringify([given, second]) }).list, [
      {
        name: 'east-1',
        kind: 'engine',
        url: 'tcp://10.0.0.5:2376',
        tls,
        address: '10.0.0.5',
        labels: { zone: 'east', 'gpu.kind': 'none' },
        limits: { cpus: 7.5, memoryBytes: 16 * gib, launches: 40 },
        builds: true,
      },
      { ...plain, name: 'b', url: 'unix:///run/b.sock', builds: false },
    ]);
  });

  test('are not a swarm alone, for it does not build', () => {
    assert.throws(() => readEngines({ DOCKER_HOST: 'swarm+unix:///a' }), /DOCKER_HOST is a swarm/);
  });

  const wrong: readonly [string, unknown, RegExp][] = [
    ['no JSON', '[{"name"', /DOCKER_HOSTS must be JSON such as \[\{"name": "east"/],
    ['no name', 'unix:///run/a.sock', /"unix:\/\/\/run\/a.sock" must be <name>=<address>/],
    ['none', [], /must name from 1 to 64 engines/],
    ['a number', [4], /engine 1 must be an object such as/],
    ['a bad name', [{ name: 'East', url: 'unix:///a' }], /engine 1: its name must be of a-z, 0-9 and -/],
    ['two of a name', 'a=unix:///a,a=unix:///b', /names two engines "a"/],
    ['no address', [{ name: 'a' }], /DOCKER_HOSTS, a is ""; it must be unix:\/\/\/path or tcp/],
    ['a relative path', 'a=unix://run/a.sock', /a is "unix:\/\/run\/a.sock"; it must be/],
    ['SSH', 'a=ssh://root@10.0.0.5', /a is "ssh:/],
    ['a password in it', 'a=tcp://me:secret@10.0.0.5:2375', /it must be unix/],
    ['a path in it', 'a=tcp://10.0.0.5:2375/v1', /it must be unix/],
    ['a stranger', [{ name: 'a', url: 'unix:///a', port: 1 }], /engine 1 may not have "port"/],
    ['a name as address', [{ name: 'a', url: 'unix:///a', address: 'east' }], /a: address must be/],
    ['half of TLS', [{ name: 'a', url: 'tcp://b:1', tls: { ca: 'x' } }], /a: tls must be the files/],
    ['bad labels', [{ name: 'a', url: 'unix:///a', labels: { a: 'b c' } }], /a: labels must be like/],
    ['labels as a list', [{ name: 'a', url: 'unix:///a', labels: ['a'] }], /a: labels must be like/],
    ['no cores', [{ name: 'a', url: 'unix:///a', cpus: 0 }], /a: cpus must be a number above 0/],
    ['bad memory', [{ name: 'a', url: 'unix:///a', memory: 'much' }], /a: memory must be a size such as 16g/],
    ['half a launch', [{ name: 'a', url: 'unix:///a', launches: 1.5 }], /a: launches must be a whole number/],
    ['words', [{ name: 'a', url: 'unix:///a', builds: 'no' }], /a: builds must be true or false/],
    ['a swarm that builds', [{ name: 'a', url: 'swarm+unix:///a', builds: true }], /a swarm does not build/],
    [
      'a swarm at an address',
      [{ name: 'a', url: 'swarm+unix:///a', address: '10.0.0.1' }],
      /each have their/,
    ],
    ['only a swarm', 'a=swarm+unix:///a', /none of the engines may build/],
    ['nobody who builds', [{ name: 'a', url: 'unix:///a', builds: false }], /none of the engines may build/],
  ];
  for (const [what, given, says] of wrong) {
    test(`are refused with ${what}`, () => {
      const DOCKER_HOSTS = typeof given === 'string' ? given : JSON.stringify(given);
      assert.throws(
        () => readConfig({ DOCKER_HOSTS }),
        error => error instanceof ConfigError && says.test(error.message),
      );
    });
  }

  test('are refused with half of what TLS needs, and with a grace of no length', () => {
    assert.throws(() => readEngines({ DOCKER_TLS_VERIFY: '1' }), /also needs DOCKER_CERT_PATH/);
    assert.throws(() => readEngines({ DOCKER_HOST: 'ftp://x' }), /DOCKER_HOST is "ftp:\/\/x"; it must be/);
    assert.throws(() => readEngines({ APPHUB_ENGINE_AWAY_SECONDS: '1' }), /a whole number from 5 to 86400/);
  });
});
