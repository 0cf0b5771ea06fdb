/** What the environment says about builds. The reader throws an Error that says what would be right. */

type Env = Readonly<Record<string, string | undefined>>;

export type BuildConfig = {
  /** In cores. Undefined: three quarters of the engine's, shared by the builds that run side by side. */
  readonly cpus: number | undefined;
  /** How much of a busy machine a step gets beside others; a container has 1024. */
  readonly cpuShares: number;
  /** Undefined: 2 GiB, or less where that were more than half of the engine's memory, shared. */
  readonly memoryBytes: number | undefined;
  readonly pidsMax: number;
  readonly timeMsMax: number;
  readonly contextBytesMax: number;
  /** Whether Dockerfiles may use BuildKit that need it; `capped`: only where its steps can be held to these limits. */
  readonly buildkit: 'auto' | 'capped' | 'off';
  /** The image that reads such Dockerfiles; undefined: BuildKit's own frontend. */
  readonly frontend: string | undefined;
  /** Below which control group the engine makes its own. */
  readonly cgroupParent: string;
  readonly registry: RegistryConfig | undefined;
};

/** Where images are pushed once they are built. */
type RegistryConfig = {
  /** Host and port: `registry.example.org:5000`. */
  readonly host: string;
  /** What goes before the id of the app: `team/previews/`, or nothing. */
  readonly prefix: string;
  readonly username: string | undefined;
  readonly password: string | undefined;
};

const mib = 1024 * 1024;
const imagePattern = /^[a-z0-9][a-z0-9._/:-]*(?:@sha256:[0-9a-f]{64})?$/i;
const registryPattern =
  /^((?:[a-z0-9-]+\.)*[a-z0-9-]+(?::\d{1,5})?|\[[0-9a-f:]+\](?::\d{1,5})?)((?:\/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*)$/;

export function readBuilds(env: Env): BuildConfig {
  const text = (name: string) => env[name]?.trim() || undefined;
  const whole = (name: string, byDefault: number, min: number, max: number) => {
    const value = numberOf(name, text(name), min, max) ?? byDefault;
    if (Number.isInteger(value)) return value;
    throw new Error(`${name} is "${value}"; it must be a whole number from ${min} to ${max}`);
  };
  const memoryMib = numberOf('APPHUB_BUILD_MEMORY_MIB', text('APPHUB_BUILD_MEMORY_MIB'), 16, 1024 * 1024);
  return {
    cpus: numberOf('APPHUB_BUILD_CPUS', text('APPHUB_BUILD_CPUS'), 0.05, 256),
    cpuShares: whole('APPHUB_BUILD_CPU_SHARES', 128, 2, 262_144),
    memoryBytes: memoryMib === undefined ? undefined : Math.round(memoryMib * mib),
    pidsMax: whole('APPHUB_BUILD_PIDS', 4_096, 16, 4_194_304),
    timeMsMax: whole('APPHUB_BUILD_SECONDS', 1_800, 1, 86_400) * 1_000,
    contextBytesMax: whole('APPHUB_BUILD_CONTEXT_MIB', 512, 1, 1024 * 1024) * mib,
    buildkit: oneOf('APPHUB_BUILDKIT', text('APPHUB_BUILDKIT'), ['auto', 'capped', 'off']),
    frontend: imageOf('APPHUB_BUILD_FRONTEND', text('APPHUB_BUILD_FRONTEND')),
    cgroupParent: groupOf('APPHUB_ENGINE_CGROUP_PARENT', text('APPHUB_ENGINE_CGROUP_PARENT') ?? 'docker'),
    registry: registryOf(text),
  };
}

function numberOf(name: string, given: string | undefined, min: number, max: number): number | undefined {
  if (given === undefined) return undefined;
  const value = Number(given);
  if (value >= min && value <= max) return value;
  throw new Error(`${name} is "${given}"; it must be a number from ${min} to ${max}`);
}

function oneOf<const T extends string>(
  name: string,
  given: string | undefined,
  choices: readonly [T, ...T[]],
): T {
  const found = choices.find(one => one === (given ?? choices[0]).toLowerCase());
  if (found !== undefined) return found;
  throw new Error(`${name} is "${given}"; it must be one of ${choices.join(', ')}`);
}

function imageOf(name: string, given: string | undefined): string | undefined {
  if (given === undefined || imagePattern.test(given)) return given;
  throw new Error(`${name} is "${given}"; it must be an image such as docker/dockerfile:1`);
}

/** As in the `--cgroup-parent` of the engine. */
function groupOf(name: string, given: string): string {
  const parts = given.replace(/^\/|\/$/g, '').split('/');
  if (parts.every(part => /^[\w.@:-]+$/.test(part) && !/^\.+$/.test(part))) return parts.join('/');
  throw new Error(`${name} is "${given}"; it must be the --cgroup-parent of the engine, such as docker`);
}

function registryOf(text: (name: string) => string | undefined): RegistryConfig | undefined {
  const given = text('APPHUB_IMAGE_REGISTRY');
  const username = text('APPHUB_IMAGE_REGISTRY_USERNAME');
  const password = text('APPHUB_IMAGE_REGISTRY_PASSWORD');
  if ((username === undefined) !== (password === undefined)) {
    throw new Error('APPHUB_IMAGE_REGISTRY_USERNAME and APPHUB_IMAGE_REGISTRY_PASSWORD go together');
  }
  if (given === undefined) return undefined;
  const [, host = '', path = ''] = registryPattern.exec(given) ?? [];
  // A name without a dot or a port would be taken for a part of Docker's own registry.
  if (!/[.:]/.test(host) && host !== 'localhost') {
    throw new Error(
      `APPHUB_IMAGE_REGISTRY is "${given}"; it must be a host such as registry.example.org:5000/team`,
    );
  }
  return { host, prefix: path === '' ? '' : `${path.slice(1)}/`, username, password };
}
