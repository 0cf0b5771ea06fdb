/** The nodes of a swarm: which of them may run a launch, and what they have together. */
import type { Machine } from './docker-store-types.ts';
import { LaunchFailure, type StartContainerRequest } from './docker-types.ts';
import { lacks } from './engine-choice.ts';
import { ensureNodeGuard, guardedNodes } from './swarm-guard.ts';
import { addressLabel, launchesLabel, type Swarm, type SwarmNode } from './swarm-types.ts';

const architectures: Readonly<Record<string, string>> = { x86_64: 'amd64', aarch64: 'arm64', armv7l: 'arm' };

export const nameOf = ({ ID, Description: { Hostname: name = ID } = {} }: SwarmNode) => name;

/** Those that are there and were made ready for launches. */
export async function launchNodes({ api }: Swarm): Promise<SwarmNode[]> {
  const nodes: SwarmNode[] = await api.listNodes();
  return nodes.filter(
    ({ Spec, Status }) =>
      Spec.Labels?.[launchesLabel] === 'true' && Spec.Availability === 'active' && Status.State === 'ready',
  );
}

/** Whether one of its nodes is as the app asks, be it there at present or not. */
export async function hasPlaceFor(
  { api }: Swarm,
  { placement = {} }: Pick<StartContainerRequest, 'placement'>,
  labels: Readonly<Record<string, string>>,
): Promise<boolean> {
  if (lacks(labels, placement).length === 0) return true;
  const nodes: SwarmNode[] = await api.listNodes();
  return nodes.some(({ Spec: { Labels: own } }) => {
    return own?.[launchesLabel] === 'true' && lacks({ ...labels, ...own }, placement).length === 0;
  });
}

export async function machineOf(swarm: Swarm): Promise<Machine> {
  const nodes = await launchNodes(swarm);
  const sum = (of: (node: SwarmNode) => number | undefined) =>
    nodes.reduce((total, node) => total + (of(node) ?? 0), 0);
  return {
    cpus: sum(({ Description: one }) => one?.Resources?.NanoCPUs) / 1e9,
    memoryBytes: sum(({ Description: one }) => one?.Resources?.MemoryBytes),
    // Those of its manager, which the images are looked at on.
    platform: platformOf(await managerOf(swarm)),
  };
}

async function managerOf({ api }: Swarm): Promise<SwarmNode | undefined> {
  const { Swarm: own } = await api.info();
  const nodes: SwarmNode[] = await api.listNodes();
  return nodes.find(({ ID }) => ID === own?.NodeID);
}

function platformOf(node: SwarmNode | undefined): string {
  const { OS: os = 'linux', Architecture: given = 'x86_64' } = node?.Description?.Platform ?? {};
  return `${os}/${architectures[given] ?? given}`;
}

/**
 * What the swarm is told of where the launch may go: not to any node but those that are prepared, guarded and as the app asks.
 * Which of these it is the swarm decides, by what is left of their memory. Throws LaunchFailure where there is none.
 */
export async function constraintsFor(
  swarm: Swarm,
  { placement = {} }: Pick<StartContainerRequest, 'placement'>,
  labels: Readonly<Record<string, string>>,
): Promise<string[]> {
  await ensureNodeGuard(swarm);
  const platform = platformOf(await managerOf(swarm));
  const ready = await launchNodes(swarm);
  const fitting = ready.filter(
    node =>
      platformOf(node) === platform && lacks({ ...labels, ...node.Spec.Labels }, placement).length === 0,
  );
  if (fitting.length === 0) {
    const asked = Object.entries(placement).map(([key, value]) => `${key}=${value}`);
    const such = asked.length === 0 ? '' : ` and ${asked.join(', ')}`;
    throw new LaunchFailure(`No node of the swarm that answers has the label ${launchesLabel}=true${such}`, {
      retryable: true,
    });
  }
  const { nodes: guarded, whyNot } = await guardedNodes(swarm, fitting);
  const usable = fitting.filter(({ ID }) => guarded.has(ID));
  if (usable.length === 0) {
    const why = fitting.map(node => `${nameOf(node)}: ${whyNot.get(node.ID) ?? 'it is being set up'}`);
    throw new LaunchFailure(
      `No node of the swarm is guarded from launches, so none is started: ${why.join('; ')}`,
      {
        retryable: true,
      },
    );
  }
  const others: SwarmNode[] = (await swarm.api.listNodes()).filter(
    ({ ID }: SwarmNode) => !usable.some(one => one.ID === ID),
  );
  return [`node.labels.${launchesLabel}==true`, ...others.map(({ ID }) => `node.id!=${ID}`)];
}

/** Where its ports are reached. */
export function addressOf(node: SwarmNode): string | undefined {
  const given = node.Spec.Labels?.[addressLabel];
  if (given !== undefined) return given;
  return node.ManagerStatus?.Addr?.replace(/:\d+$/, '') ?? node.Status.Addr;
}
