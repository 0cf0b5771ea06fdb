/**
 * Several engines as one. What is to be made goes to the engine with most left; what is there is looked for on all of them. An
 * engine that does not answer is waited for, and after a while what it holds is taken for lost, as long as there is another one.
 */
import type { EngineConfig } from '../../platform/engines-config.ts';
import type { Log } from '../../platform/log.ts';
import { labelOf } from './docker-labels.ts';
import {
  type ContainerDeath,
  type Docker,
  type EngineAnswer,
  LaunchFailure,
  type LogsRequest,
  type StartContainerRequest,
} from './docker-types.ts';
import type { Claims } from './engine-claims.ts';
import { type Group, groupOf } from './engine-group.ts';
import { findHolders, imageCarrier } from './engine-images.ts';
import { type Member, openMember } from './engine-member.ts';
import { placing } from './engine-placing.ts';
import { type Promises, promisesOf } from './engine-promises.ts';
import { holderOf, removals } from './engine-removals.ts';
import { type EngineState, type Engines, NoEngine, type OneEngine, type Survey } from './engine-types.ts';
import { workspacesOn } from './engine-workspaces.ts';
import { mergeStreams } from './merge-streams.ts';

export type EnginesOptions = {
  /** At least one. */
  readonly engines: readonly { readonly config: EngineConfig; readonly docker: OneEngine }[];
  readonly awaySeconds: number;
  readonly claims: Claims;
  readonly log: Log;
};

export function openEngines({ engines, awaySeconds, claims, log }: EnginesOptions): Engines {
  const awayMsMax = awaySeconds * 1_000;
  const group = groupOf(engines.map(engine => openMember({ ...engine, awayMsMax, log })));
  const { members } = group;
  const builders = members.filter(({ config }) => config.builds);
  const promises = promisesOf(group);
  const { forLaunch, forBuild } = placing({ group, claims, promises });
  const bring = imageCarrier(members);
  const onItsEngine = async <T>(
    request: StartContainerRequest,
    work: (docker: OneEngine) => Promise<T>,
  ): Promise<T> => {
    const { member, done } = await forLaunch(request);
    try {
      const { image, inRegistry = nowhere } = request;
      if (members.length > 1) await bring(member, { image, inRegistry });
      return await member.ask(work);
    } finally {
      done();
    }
  };
  return {
    ping: (what?: 'build') => pingAny(what === 'build' ? builders : members),
    async onBuilder(place, work) {
      const { member, done } = await forBuild(place);
      try {
        return await member.ask(work);
      } finally {
        done();
      }
    },
    ...buildingOn(group, builders),
    ...removals(group, claims),
    startContainer: request => onItsEngine(request, docker => docker.startContainer(labelled(request))),
    workspaces: workspacesOn({ group, claims, onItsEngine }),
    async waitUntilReady(request) {
      const member = request.engine === undefined ? members[0] : group.named(request.engine);
      if (member === undefined) throw new LaunchFailure(`There is no engine ${request.engine} any more`);
      await member.ask(docker => docker.waitUntilReady(request));
    },
    ...storesOf(group),
    ...guardsOf(group),
    listLaunches: async () => (await group.launches()).said.flatMap(({ value }) => value),
    usage: async launchId =>
      (await group.gatherSome(docker => docker.usage(launchId))).said.flatMap(({ value }) => value),
    listNetworks: async () =>
      (await group.gatherSome(docker => docker.listNetworks())).said.flatMap(({ value }) => value),
    survey: () => survey(group),
    engines: () => statesOf(group, promises),
    containerLogs: (launchId, request) => containerLogs(group, claims, launchId, request),
    async lastLines(launchId, deployment) {
      const holder = await holderOf(group, claims, launchId, deployment);
      return holder === undefined ? [] : holder.ask(docker => docker.lastLines(launchId, deployment));
    },
    watchDeaths: signal => mergeStreams(members.map(member => deathsOf(member, signal))),
  };
}

const nowhere = async () => undefined;

/** What a build asks for outside of `onBuilder` is done by the first that answers, and about an image by one that has it. */
function buildingOn(group: Group, builders: readonly Member[]) {
  const { members } = group;
  const builder = async () => {
    for (const member of builders) if (await member.isThere()) return member;
    throw new NoEngine('No engine that builds answers');
  };
  return {
    machine: async () => (await builder()).machine(),
    planBuild: async request => (await builder()).ask(docker => docker.planBuild(request)),
    buildImage: async request => (await builder()).ask(docker => docker.buildImage(request)),
    papersOf: async plan => (await builder()).ask(docker => docker.papersOf(plan)),
    async pushImage(request) {
      const holder = (await findHolders(members, request.imageId))?.holders[0];
      return (holder ?? (await builder())).ask(docker => docker.pushImage(request));
    },
    pullImage: async (image, signal) => (await builder()).ask(docker => docker.pullImage(image, signal)),
    async findImage(labels, tag) {
      const { said } = await group.gatherSome(docker => docker.findImage(labels, tag));
      return said.find(({ value }) => value !== undefined)?.value;
    },
  } satisfies Partial<Docker>;
}

/** What lies on engines is said and done on each for itself. */
function storesOf({ members, named, gather, gatherSome }: Group) {
  const on = (engine: string): Member => {
    const member = named(engine) ?? (members.length === 1 ? members[0] : undefined);
    if (member === undefined) throw new NoEngine(`There is no engine ${engine}`);
    return member;
  };
  const all = async <T>(work: (docker: OneEngine) => Promise<readonly T[]>): Promise<T[]> =>
    (await gatherSome(work)).said.flatMap(({ value }) => value);
  return {
    listImages: () => all(docker => docker.listImages()),
    async surveyImages() {
      const { said, away } = await gatherSome(docker => docker.listImages());
      // What lies on an engine that is away for a moment is neither here nor gone.
      return { images: said.flatMap(({ value }) => value), isWhole: away.every(one => one.isGivenUp) };
    },
    removeImage: image => on(image.engine).ask(docker => docker.removeImage(image)),
    rooms: options => all(docker => docker.rooms(options)),
    pruneCache: (engine, keepBytes) => on(engine).ask(docker => docker.pruneCache(engine, keepBytes)),
    listBuildSteps: () => all(docker => docker.listBuildSteps()),
    async removeBuildStep(containerId) {
      await gather(docker => docker.removeBuildStep(containerId));
    },
    async endOrphanedSteps() {
      const { said } = await gather(docker => docker.endOrphanedSteps());
      return said.reduce((sum, { value }) => sum + value, 0);
    },
  } satisfies Partial<Docker>;
}

/** The hosts of engines that are away guard themselves meanwhile. */
function guardsOf({ members, gather }: Group) {
  const each = async (work: (docker: OneEngine) => Promise<void>) => {
    const results = await Promise.allSettled(members.map(member => member.ask(work)));
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  };
  return {
    guard: () => each(docker => docker.guard()),
    unguard: () => each(docker => docker.unguard()),
    async protect() {
      const { said } = await gather(docker => docker.protect());
      const wrong = said.flatMap(({ member, value }) => {
        if (value.ok) return [];
        return members.length === 1 ? [value.reason] : [`${member.config.name}: ${value.reason}`];
      });
      return wrong.length === 0 ? { ok: true } : { ok: false, reason: wrong.join('; ') };
    },
  } satisfies Partial<Docker>;
}

/** As soon as one answers; the others go on being asked. */
async function pingAny(members: readonly Member[]): Promise<EngineAnswer> {
  const looks = members.map(member => member.look());
  const isOne = looks.map(async look => {
    if (!(await look).ok) throw new Error('away');
  });
  try {
    await Promise.any(isOne);
    return { ok: true };
  } catch {
    const answers = await Promise.all(looks);
    const reasons = answers.map(answer => (answer.ok ? '' : answer.reason));
    if (reasons.length === 1) return { ok: false, reason: reasons[0] ?? '' };
    const named = reasons.map((reason, index) => `${members[index]?.config.name}: ${reason}`);
    return { ok: false, reason: `None of the engines answers. ${named.join('; ')}` };
  }
}

async function survey(group: Group): Promise<Survey> {
  const { said, away } = await group.gatherSome(async docker => ({
    launches: await docker.listLaunches(),
    networks: await docker.listNetworks(),
  }));
  return {
    launches: said.flatMap(({ value }) => value.launches),
    networks: said.flatMap(({ value }) => value.networks),
    away,
    engines: group.members.map(({ config }) => config.name),
  };
}

async function statesOf(group: Group, promises: Promises): Promise<EngineState[]> {
  await Promise.all(group.members.map(member => member.look()));
  await Promise.all(group.members.map(member => member.machine().catch(() => undefined)));
  const promised = await promises.all();
  return group.members.map(member => {
    const { name, kind, labels, builds, limits } = member.config;
    const away = member.away();
    const size = member.knownMachine();
    return {
      name,
      kind,
      labels,
      builds,
      awayReason: away?.reason ?? null,
      awaySince: away?.since ?? null,
      cpus: limits.cpus ?? size?.cpus ?? null,
      memoryBytes: limits.memoryBytes ?? size?.memoryBytes ?? null,
      launchesMax: limits.launches ?? null,
      promised: promised(name),
    };
  });
}

/** What is promised on an engine is the sum of what these say. */
function labelled(request: StartContainerRequest): StartContainerRequest {
  const { memoryBytes, cpus } = request;
  const labels = { [labelOf.memory]: String(memoryBytes), [labelOf.cpus]: String(cpus) };
  return { ...request, labels: { ...request.labels, ...labels } };
}

async function* containerLogs(
  group: Group,
  claims: Claims,
  launchId: string,
  request?: LogsRequest,
): AsyncIterable<Uint8Array> {
  const holder = await holderOf(group, claims, launchId, request?.deployment);
  if (holder === undefined) return;
  if (!(await holder.isThere())) throw new NoEngine(`The engine ${holder.config.name} is away`);
  yield* holder.docker.containerLogs(launchId, request);
}

/** Asks anew when the engine has come back: a connection of before may be dead and not know. */
async function* deathsOf(member: Member, signal: AbortSignal): AsyncIterable<ContainerDeath> {
  while (!signal.aborted) yield* member.docker.watchDeaths(AbortSignal.any([signal, member.back()]));
}
