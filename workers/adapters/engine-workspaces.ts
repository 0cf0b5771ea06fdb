/** Workspaces are on the engine that their volumes are on: whoever uses one goes there. */
import type { StartContainerRequest } from './docker-types.ts';
import type { FoundVolume, Workspaces } from './docker-workspace-types.ts';
import type { Claims } from './engine-claims.ts';
import type { Group } from './engine-group.ts';
import type { Member } from './engine-member.ts';
import { holderOf } from './engine-removals.ts';
import { NoEngine, type OneEngine } from './engine-types.ts';

type Deps = {
  readonly group: Group;
  readonly claims: Claims;
  /** Does something on the engine that a container belongs to, once its image is there. */
  readonly onItsEngine: <T>(
    container: StartContainerRequest,
    work: (docker: OneEngine) => Promise<T>,
  ) => Promise<T>;
};

export function workspacesOn({ group, claims, onItsEngine }: Deps): Workspaces {
  const { members } = group;
  const all = async <T>(work: (docker: OneEngine) => Promise<readonly T[]>): Promise<T[]> =>
    (await group.gatherSome(work)).said.flatMap(({ value }) => value);
  const on = (engine: string): Member => {
    const member = members.length === 1 ? members[0] : group.named(engine);
    if (member === undefined) throw new NoEngine(`There is no engine ${engine}`);
    return member;
  };
  /** Where the container is; any engine says of one that is nowhere that it is gone. */
  const ofContainer = async (launchId: string, deployment: number): Promise<Member> => {
    const holder = (await holderOf(group, claims, launchId, deployment)) ?? (await some());
    return holder;
  };
  const some = async (): Promise<Member> => {
    for (const member of members.filter(({ config }) => config.kind === 'engine')) {
      if (await member.isThere()) return member;
    }
    throw new NoEngine('No engine answers');
  };
  return {
    prepare(request) {
      const { engine } = request.set;
      const own = { ...request.container, keeps: true };
      const container = engine === null ? own : { ...own, engine };
      return onItsEngine(container, docker => docker.workspaces.prepare(request));
    },
    async *pack(set, signal) {
      const { docker, isThere } = on(set.engine ?? '');
      if (!(await isThere())) throw new NoEngine(`The engine ${set.engine} is away`);
      yield* docker.workspaces.pack(set, signal);
    },
    async unpack(request, tar, signal) {
      const { engine } = request.set;
      const member = engine === null ? await some() : on(engine);
      return member.ask(docker => docker.workspaces.unpack(request, tar, signal));
    },
    freeze: async (launchId, deployment) =>
      (await ofContainer(launchId, deployment)).ask(docker => docker.workspaces.freeze(launchId, deployment)),
    stateOf: async (launchId, deployment) =>
      (await ofContainer(launchId, deployment)).ask(docker =>
        docker.workspaces.stateOf(launchId, deployment),
      ),
    thaw: async (launchId, deployment) =>
      (await ofContainer(launchId, deployment)).ask(docker => docker.workspaces.thaw(launchId, deployment)),
    frozen: () => all(docker => docker.workspaces.frozen()),
    weigh: () => all(docker => docker.workspaces.weigh()),
    list: () => all(docker => docker.workspaces.list()),
    async remove(volumes) {
      const byEngine = new Map<string, FoundVolume[]>();
      for (const one of volumes) byEngine.set(one.engine, [...(byEngine.get(one.engine) ?? []), one]);
      for (const [engine, its] of byEngine) await on(engine).ask(docker => docker.workspaces.remove(its));
    },
  };
}
