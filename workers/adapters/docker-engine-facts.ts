/** What an engine can do to confine a container, asked for now and then. */
import type { Engine } from './docker-types.ts';

const factsMsMax = 60_000;

export type EngineFacts = {
  readonly hasAppArmor: boolean;
  readonly runtimes: readonly string[];
  /** Why nothing of a stranger's may run on it; undefined: it may. */
  readonly refusal: string | undefined;
};

type Info = {
  readonly SecurityOptions?: readonly string[] | null;
  readonly Runtimes?: Readonly<Record<string, unknown>> | null;
  readonly MemoryLimit?: boolean;
  readonly CpuCfsQuota?: boolean;
  readonly PidsLimit?: boolean;
};

const known = new WeakMap<Engine, { readonly facts: Promise<EngineFacts>; readonly askedAt: number }>();

export function engineFacts(engine: Engine): Promise<EngineFacts> {
  const before = known.get(engine);
  if (before !== undefined && performance.now() - before.askedAt < factsMsMax) return before.facts;
  const facts = engine.api.info().then(factsOf);
  known.set(engine, { facts, askedAt: performance.now() });
  facts.catch(() => known.delete(engine));
  return facts;
}

/** Of each limit that the kernel cannot hold the engine only says that it is ignored, and starts the container. */
export function factsOf(info: Info): EngineFacts {
  const security = info.SecurityOptions ?? [];
  const seccomp = security.find(option => option.startsWith('name=seccomp'));
  const lacks = [
    ...(seccomp === undefined || seccomp.includes('profile=unconfined')
      ? ['filter system calls (seccomp)']
      : []),
    ...(info.MemoryLimit === false ? ['limit memory'] : []),
    ...(info.CpuCfsQuota === false ? ['limit CPU'] : []),
    ...(info.PidsLimit === false ? ['limit processes'] : []),
  ];
  return {
    hasAppArmor: security.some(option => option.startsWith('name=apparmor')),
    runtimes: Object.keys(info.Runtimes ?? {}),
    refusal:
      lacks.length === 0 ? undefined : `The engine does not ${lacks.join(', or ')}, so nothing is run on it`,
  };
}
