/** Ways out for the launches of an engine: opened before a container starts, and again by a process that finds it running. */

import { labelOf } from './docker-labels.ts';
import { findNetworks, type LaunchNetwork } from './docker-network.ts';
import { type Engine, LaunchFailure } from './docker-types.ts';

/** The address of the proxy, for the container to be told. Undefined: nothing may leave. */
export async function ensureWayOut(
  engine: Engine,
  { gateway, subnet, launchId }: LaunchNetwork,
  hosts: readonly string[],
): Promise<string | undefined> {
  if (hosts.length === 0) return undefined;
  const { egress, sandbox } = engine;
  if (egress === undefined) {
    throw new LaunchFailure('The app may reach hosts outside, and nothing lets it through on this engine');
  }
  try {
    await egress.open({ launchId, gateway, subnet, hosts });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new LaunchFailure(`The way out cannot be opened: ${why}`, { retryable: true, cause: error });
  }
  return `http://${gateway}:${sandbox.egressPort}`;
}

/** Ways out are as many as there are containers that have one; what a container may reach is written on it. */
export async function restoreWaysOut(engine: Engine): Promise<void> {
  const { egress } = engine;
  if (egress === undefined) return;
  const label = [`${labelOf.instance}=${engine.instance}`, labelOf.egress];
  const containers = await engine.api.listContainers({ filters: { label } });
  const networks = containers.length === 0 ? [] : await findNetworks(engine);
  const wanted = new Set<string>();
  for (const { Labels: labels } of containers) {
    const launchId = labels[labelOf.launch] ?? '';
    const network = networks.find(one => one.launchId === launchId);
    if (network === undefined) continue;
    wanted.add(launchId);
    const { gateway, subnet } = network;
    await egress.open({ launchId, gateway, subnet, hosts: hostsOf(labels[labelOf.egress]) });
  }
  await egress.keep(wanted);
}

function hostsOf(label = '[]'): string[] {
  const hosts: unknown = JSON.parse(label);
  return Array.isArray(hosts) ? hosts.map(String) : [];
}
