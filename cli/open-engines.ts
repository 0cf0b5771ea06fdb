/** Opens the engines of the configuration, each by its kind. */
import type { Knex } from 'knex';
import type { BuildConfig } from '../platform/build-config.ts';
import type { Config } from '../platform/config.ts';
import type { EngineConfig } from '../platform/engines-config.ts';
import type { Log } from '../platform/log.ts';
import { openDocker } from '../workers/adapters/docker.ts';
import type { Engines, OneEngine } from '../workers/adapters/engine-types.ts';
import { openEngines } from '../workers/adapters/engines.ts';
import { openSwarm } from '../workers/adapters/swarm.ts';
import { claimsIn } from '../workers/claims.ts';
import type { EgressProxy } from '../workers/egress/egress-proxy.ts';

export type ConfiguredEngines = Pick<Config, 'engines' | 'builds' | 'sandbox'> & {
  readonly instance: string;
  /** The way out for apps, where there is one. */
  readonly egress?: EgressProxy | undefined;
  readonly log: Log;
};

/** As one. Asks none of them anything yet. Throws where a certificate cannot be read. */
export function openConfigured(options: ConfiguredEngines & { readonly sql: Knex }): Engines {
  const { awaySeconds } = options.engines;
  return openEngines({
    engines: openEach(options),
    awaySeconds,
    claims: claimsIn(options.sql),
    log: options.log,
  });
}

export function openEach(options: ConfiguredEngines): { config: EngineConfig; docker: OneEngine }[] {
  return options.engines.list.map(config => ({ config, docker: openOne(config, options) }));
}

function openOne(config: EngineConfig, options: ConfiguredEngines): OneEngine {
  const { name, kind, url, tls, address, labels } = config;
  const { instance, egress, log } = options;
  const builds = engineBuilds(options.builds);
  const sandbox = address === undefined ? options.sandbox : { ...options.sandbox, publish: address };
  const opening = { host: url, tls, name, instance, builds, sandbox, egress, log };
  return kind === 'swarm'
    ? openSwarm({ ...opening, labels, registry: placeIn(options) })
    : openDocker(opening);
}

/** What goes before the names of images. */
function placeIn({ builds: { registry } }: ConfiguredEngines): string | undefined {
  return registry === undefined ? undefined : `${registry.host}/${registry.prefix}`;
}

function engineBuilds({ buildkit, frontend, cgroupParent, registry }: BuildConfig) {
  const { host = '', username, password } = registry ?? {};
  return {
    buildkit,
    frontend,
    cgroupParent,
    auth: username === undefined || password === undefined ? undefined : { host, username, password },
  };
}
