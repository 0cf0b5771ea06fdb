/** Several engines of a test's own as one installation has them: each on a machine of its own, as far as it can tell. */
import { randomBytes } from 'node:crypto';
import type { Knex } from 'knex';
import { type EngineConfig, readEngines } from '../../platform/engines-config.ts';
import { openLogger } from '../../platform/log.ts';
import { openDocker } from '../../workers/adapters/docker.ts';
import type { Engines } from '../../workers/adapters/engine-types.ts';
import { openEngines } from '../../workers/adapters/engines.ts';
import { claimsIn, createClaimTable } from '../../workers/claims.ts';
import { startTestEngine, type TestEngine } from './engine.ts';
import { busyboxImage, ensureTestImages } from './images.ts';

/** `isReversed`: of two that are as good it takes the other one. */
type OpenOptions = { readonly awaySeconds?: number; readonly isReversed?: boolean };

export type TestEngines = {
  readonly instance: string;
  readonly engine: Readonly<Record<string, TestEngine>>;
  /** As a process sees them that has just been started. */
  open(sql: Knex, options?: OpenOptions): Promise<Engines>;
  /** How many containers each has of this installation, by name. */
  containers(): Promise<Record<string, number>>;
  close(): Promise<void>;
};

/** Settings of each beside its address, by name. All of them have the base images. */
export async function startTestEngines(
  settings: Readonly<Record<string, Readonly<Record<string, unknown>>>>,
): Promise<TestEngines> {
  const instance = `test-${randomBytes(4).toString('hex')}`;
  await ensureTestImages();
  const engine: Record<string, TestEngine> = {};
  for (const name of Object.keys(settings)) {
    engine[name] = await startTestEngine();
    await engine[name].load(busyboxImage);
  }
  const hosts = Object.entries(engine).map(([name, { host, address }]) => {
    return { name, url: host, address, ...settings[name] };
  });
  const { list } = readEngines({ DOCKER_HOSTS: JSON.stringify(hosts) });
  const log = openLogger({ level: 'silent' });
  const opened = ({ name, url, address }: EngineConfig) =>
    openDocker({ host: url, name, instance, sandbox: { publish: address }, log });
  return {
    instance,
    engine,
    async open(sql, { awaySeconds = 60, isReversed = false } = {}) {
      await createClaimTable(sql);
      const order = isReversed ? list.toReversed() : list;
      const engines = order.map(config => ({ config, docker: opened(config) }));
      return openEngines({ engines, awaySeconds, claims: claimsIn(sql), log });
    },
    async containers() {
      const filters = { label: [`apphub.instance=${instance}`, 'apphub.launch'] };
      const counts = Object.entries(engine).map(async ([name, { api }]) => {
        return [name, (await api.listContainers({ all: true, filters })).length] as const;
      });
      return Object.fromEntries(await Promise.all(counts));
    },
    async close() {
      await Promise.all(Object.values(engine).map(one => one.close()));
    },
  };
}
