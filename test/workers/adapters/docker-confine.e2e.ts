/**
 * A launch as the engine says it runs, held against what the CIS Docker Benchmark asks of containers (section 5, version 1.6),
 * and what its kernel says from inside.
 */
import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import type Dockerode from 'dockerode';
import { labelOf } from '../../../workers/adapters/docker-labels.ts';
import { LaunchFailure } from '../../../workers/adapters/docker-types.ts';
import { openTestDocker, startRequest } from '../../support/docker.ts';
import { ensureTestImages } from '../../support/images.ts';

const { api, docker, instance, imageOf, inside, cleanUp } = openTestDocker();
const mib = 1024 * 1024;

/** Serves as nobody from a volume, and has another volume that is not empty. */
const instructions = [
  'RUN mkdir -p /data /seeded && echo seed >/seeded/file && chmod 700 /data',
  'VOLUME /data /seeded /not/there/yet',
  'USER nobody',
  'HEALTHCHECK CMD true',
  'CMD ["sh", "-c", "echo hi >/data/index.html; exec httpd -f -p 8080 -h /data"]',
];

let count = 0;
async function start(...[image, changes]: [string, Parameters<typeof startRequest>[2]?]) {
  count += 1;
  const request = startRequest(`${instance}-${count}`, image, changes);
  const started = await docker.startContainer(request);
  const found = await api.getContainer(started.containerId).inspect();
  return { ...started, found, run: (...command: string[]) => inside(started.containerId, ...command) };
}

type Found = Dockerode.ContainerInspectInfo;
type Check = [asked: string, actual: (found: Found) => unknown, wanted: unknown];

suite('a confined container', () => {
  let launched: Awaited<ReturnType<typeof start>>;
  let info: { SecurityOptions?: string[] };
  before(async () => {
    await ensureTestImages();
    info = await api.info();
    launched = await start(await imageOf('confined', ...instructions), { cpus: 0.5 });
    await docker.waitUntilReady({ ...launched, timeoutMs: 20_000, signal: new AbortController().signal });
  });
  after(cleanUp);

  const mountsOf = ({ Mounts, HostConfig }: Found) => [
    ...(HostConfig.Binds ?? []),
    ...Mounts.filter(({ Type }) => Type !== 'volume' && Type !== 'tmpfs'),
  ];
  const ulimits = ({ HostConfig }: Found) => HostConfig.Ulimits?.map(({ Name, Hard }) => `${Name}=${Hard}`);

  const checks: Check[] = [
    [
      '5.2 the AppArmor profile, where there is one',
      ({ AppArmorProfile }) => AppArmorProfile,
      () => (info.SecurityOptions?.some(one => one.startsWith('name=apparmor')) ? 'docker-default' : ''),
    ],
    [
      '5.3 SELinux is not switched off',
      ({ HostConfig: { SecurityOpt: all } }) => `${all}`.includes('label'),
      false,
    ],
    ['5.4 no capabilities', ({ HostConfig: { CapDrop, CapAdd } }) => [CapDrop, CapAdd], [['ALL'], null]],
    ['5.5 not privileged', ({ HostConfig }) => HostConfig.Privileged, false],
    ['5.6 no folders of the host', mountsOf, []],
    ['5.8 no privileged ports of the host', ({ HostConfig }) => HostConfig.PortBindings ?? {}, {}],
    ['5.9 no ports of the host at all', ({ NetworkSettings }) => NetworkSettings.Ports, {}],
    ['5.10 a network of its own', ({ HostConfig }) => HostConfig.NetworkMode === 'host', false],
    ['5.11 limited memory', ({ HostConfig }) => HostConfig.Memory, 64 * mib],
    ['5.11 and no swap beside it', ({ HostConfig }) => HostConfig.MemorySwap, 64 * mib],
    ['5.12 limited CPU', ({ HostConfig }) => HostConfig.NanoCpus, 500_000_000],
    ['5.13 a root that cannot be written to', ({ HostConfig }) => HostConfig.ReadonlyRootfs, true],
    ['5.15 not started again by the engine', ({ HostConfig }) => HostConfig.RestartPolicy?.Name, 'no'],
    ['5.16 processes of its own', ({ HostConfig }) => HostConfig.PidMode, ''],
    ['5.17 memory shared with nobody', ({ HostConfig }) => HostConfig.IpcMode, 'private'],
    ['5.18 no devices', ({ HostConfig }) => HostConfig.Devices ?? [], []],
    ['5.18 nor by rule', ({ HostConfig }) => HostConfig.DeviceCgroupRules ?? [], []],
    ['5.19 limited files, no core dumps', ulimits, ['nofile=4096', 'core=0']],
    [
      '5.20 mounts that do not spread',
      ({ Mounts }) => Mounts.filter(one => one.Propagation === 'shared'),
      [],
    ],
    ['5.21 a host name of its own', ({ HostConfig }) => HostConfig.UTSMode, ''],
    [
      '5.22 and 5.26 the default filter of system calls, and no new privileges',
      ({ HostConfig }) =>
        HostConfig.SecurityOpt?.filter((option: string) => !option.startsWith('apparmor=docker-default')),
      ['no-new-privileges'],
    ],
    ['5.25 the cgroup that the engine gives', ({ HostConfig }) => HostConfig.CgroupParent, ''],
    ['5.27 its health is looked at', ({ State }) => State.Health !== undefined, true],
    ['5.28 an image by what is in it', ({ Config }) => /^sha256:[0-9a-f]{64}$/.test(Config.Image), true],
    ['5.29 limited processes', ({ HostConfig }) => HostConfig.PidsLimit, 32],
    [
      '5.30 not on the engine’s own bridge',
      ({ NetworkSettings: { Networks } }) => 'bridge' in Networks,
      false,
    ],
    ['5.31 the users of the engine', ({ HostConfig }) => HostConfig.UsernsMode, ''],
    ['5.32 no socket of the engine', found => /docker\.sock/.test(JSON.stringify(found)), false],
    ['4.1 not root', ({ Config }) => Config.User, 'nobody'],
    ['an init that reaps', ({ HostConfig }) => HostConfig.Init, true],
    ['the first to go without memory', ({ HostConfig }) => HostConfig.OomScoreAdj, 500],
    ['which can be killed', ({ HostConfig }) => HostConfig.OomKillDisable ?? false, false],
    ['little shared memory', ({ HostConfig }) => HostConfig.ShmSize, 16 * mib],
    [
      'logs that end',
      ({ HostConfig }) => HostConfig.LogConfig,
      { Type: 'json-file', Config: { 'max-size': '10m', 'max-file': '2' } },
    ],
    ['names that are asked of nobody', ({ HostConfig }) => HostConfig.Dns, ['127.0.0.1']],
    [
      'memory for what is written',
      ({ HostConfig }) => Object.keys(HostConfig.Tmpfs ?? {}).toSorted(),
      ['/data', '/not/there/yet', '/run', '/tmp', '/var/tmp'],
    ],
    [
      'volumes that cannot be written to',
      ({ Mounts }) => Mounts.map(({ Destination, RW }) => [Destination, RW]),
      [['/seeded', false]],
    ],
    ['its event', ({ Config }) => Config.Labels[labelOf.event], 'e1'],
  ];
  for (const [asked, actual, wanted] of checks) {
    test(asked, () =>
      assert.deepEqual(actual(launched.found), typeof wanted === 'function' ? wanted() : wanted),
    );
  }

  test('5.10 a network of its own launch, that is closed, where containers do not talk to each other', async () => {
    const [name = '', ...others] = Object.keys(launched.found.NetworkSettings.Networks);
    assert.deepEqual([name, others], [`apphub-${instance}-1`, []]);
    const {
      Internal: isInternal,
      Options: options = {},
      IPAM: ipam,
      Labels: labels = {},
    } = await api.getNetwork(name).inspect();
    assert.equal(isInternal, true);
    assert.match(options['com.docker.network.bridge.name'] ?? '', /^ahl[0-9a-f]{12}$/);
    assert.equal(options['com.docker.network.bridge.enable_icc'], 'false');
    assert.equal(options['com.docker.network.bridge.enable_ip_masquerade'], 'false');
    assert.match(ipam?.Config?.[0]?.Subnet ?? '', /^10\.213\.\d+\.\d+\/29$/);
    assert.deepEqual([labels[labelOf.launch], labels[labelOf.event]], [`${instance}-1`, 'e1']);
  });

  test('has no rights, for its kernel', async () => {
    const status = await launched.run('grep', '-E', '^(Uid|Cap|NoNewPrivs|Seccomp:)', '/proc/1/status');
    assert.match(status, /Uid:\s+65534\s+65534\s+65534\s+65534/);
    for (const set of ['Prm', 'Eff', 'Bnd', 'Amb']) assert.match(status, new RegExp(`Cap${set}:\\s+0{16}`));
    assert.match(status, /NoNewPrivs:\s+1/);
    assert.match(status, /Seccomp:\s+2/);
  });

  test('writes to what it may, and nowhere else', async () => {
    const write = async (folder: string) =>
      (await launched.run('sh', '-c', `echo x >${folder}/x && echo written`)).trim();
    for (const folder of ['/tmp', '/run', '/var/tmp', '/dev/shm', '/data', '/not/there/yet']) {
      assert.equal(await write(folder), 'written', folder);
    }
    for (const folder of ['/', '/etc', '/seeded', '/bin', '/home', '/proc/sys/kernel', '/sys', '/dev']) {
      assert.match(await write(folder), /can't create/, folder);
    }
    assert.equal(await launched.run('cat', '/seeded/file'), 'seed\n');
    const mounts = await launched.run('cat', '/proc/mounts');
    for (const folder of ['/tmp', '/run', '/var/tmp', '/data', '/not/there/yet']) {
      const line = mounts.split('\n').find(each => each.split(' ')[1] === folder) ?? '';
      assert.match(line, /^tmpfs .*\brw,nosuid,nodev\b.*size=16384k/, folder);
      assert.match(line, /nr_inodes=65536/, folder);
      assert.equal(line.includes('noexec'), ['/run', '/var/tmp'].includes(folder), folder);
    }
    assert.match(await launched.run('stat', '-c', '%u %a', '/data'), /^65534 700/);
  });

  test('has an address of IPv4 only', async () => {
    assert.doesNotMatch(await launched.run('cat', '/proc/net/if_inet6'), /eth0/);
  });

  test('goes with all that was made for it', async () => {
    const filters = { label: [`${labelOf.launch}=${instance}-1`] };
    const volumes = async () => (await api.listVolumes({ filters })).Volumes ?? [];
    assert.equal((await volumes()).length, 1);
    await docker.removeLaunch(`${instance}-1`);
    assert.deepEqual(await volumes(), []);
    assert.deepEqual(await docker.listNetworks(), []);
  });
});

suite('who it runs as', () => {
  after(cleanUp);
  const sleeps = 'CMD ["sleep", "1000"]';

  test('an image that says nothing is run as nobody, and can still listen where root would', async () => {
    const image = await imageOf(
      'rootly',
      'CMD ["sh", "-c", "cd /tmp; echo $HOME >index.html; exec httpd -f -p 80"]',
    );
    const launched = await start(image, { port: 80 });
    await docker.waitUntilReady({ ...launched, timeoutMs: 20_000, signal: new AbortController().signal });
    assert.match(await launched.run('id'), /uid=65534\(nobody\) gid=65534/);
    assert.equal(await (await fetch(`http://${launched.host}:80/`)).text(), '/tmp\n');
  });

  test('a marked app is root inside, without the powers of root', async () => {
    const launched = await start(await imageOf('root', sleeps), { allowRoot: true });
    assert.match(await launched.run('id'), /uid=0\(root\)/);
    assert.match(await launched.run('grep', 'CapEff', '/proc/1/status'), /0{16}/);
    assert.match(await launched.run('sh', '-c', 'echo x >/tmp/x; chown 7 /tmp/x'), /Operation not permitted/);
  });

  test('an image cannot hide root behind a number, a name or a link', async () => {
    const lists = [
      ["RUN echo '1234:x:0:0::/:/bin/sh' >>/etc/passwd", 'USER 1234'],
      ["RUN echo 'toor:x:0:0::/:/bin/sh' >>/etc/passwd", 'USER toor'],
      [
        "RUN mkdir /nix && echo 'hidden:x:0:0::/:/bin/sh' >/nix/list && ln -sf ../nix/list /etc/passwd",
        'USER hidden',
      ],
    ];
    for (const [at, lines] of lists.entries()) {
      const launched = await start(await imageOf(`hidden-${at}`, ...lines, sleeps));
      assert.match(await launched.run('id'), /uid=65534/);
      assert.equal(launched.found.Config.User, '65534:65534');
    }
  });

  test('a user by name or number is who the image says', async () => {
    const user = "RUN echo 'web:x:1001:1002::/srv:/bin/sh' >>/etc/passwd";
    for (const name of ['web', '1001', '1001:1002']) {
      const launched = await start(
        await imageOf(`web-${name.replace(':', '-')}`, user, `USER ${name}`, sleeps),
      );
      assert.match(await launched.run('id'), /uid=1001\(web\) gid=1002/);
      assert.match(await launched.run('sh', '-c', 'echo x >/tmp/x; ls -ln /tmp/x'), / 1001 +1002 /);
    }
  });

  test('a user that is not there is said so', async () => {
    const image = await imageOf('ghost', 'USER ghost', sleeps);
    await assert.rejects(start(image), error => {
      assert.ok(error instanceof LaunchFailure);
      assert.equal(error.reason, 'The user "ghost" of the image is not in its /etc/passwd');
      return true;
    });
  });

  test('nothing is left of looking into images', async () => {
    const filters = { label: [`${labelOf.instance}=${instance}`, labelOf.look] };
    assert.deepEqual(await api.listContainers({ all: true, filters }), []);
  });
});
