/**
 * Where what a launch has is found again, and removed. An engine that is away is waited for where something of the launch may be
 * on it; once it is lost, nothing is there any more: should it come back, what nobody wants is removed when that is noticed.
 */
import type { FoundLaunch } from './docker-types.ts';
import type { Claims } from './engine-claims.ts';
import type { Group } from './engine-group.ts';
import type { Member } from './engine-member.ts';
import { NoEngine } from './engine-types.ts';

export type Removals = {
  removeDeployment(launchId: string, deployment: number, engine?: string): Promise<void>;
  removeLaunch(launchId: string): Promise<void>;
};

export function removals(group: Group, claims: Claims): Removals {
  const { members } = group;
  const isAlone = members.length === 1;
  const claimsOf = async (launchId: string) => (isAlone ? new Map<number, string>() : claims.of(launchId));
  /** Throws NoEngine only once all the others have done their part. */
  const fromEach = async (
    from: readonly Member[],
    needed: readonly Member[],
    work: (member: Member) => Promise<void>,
  ) => {
    const results = await Promise.allSettled(
      from
        .filter(member => !group.isLost(member))
        .map(async member => {
          try {
            await work(member);
          } catch (error) {
            const isWaitedFor = needed.includes(member) && !group.isLost(member);
            if (isWaitedFor || !(error instanceof NoEngine)) throw error;
          }
        }),
    );
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  };
  return {
    async removeDeployment(launchId, deployment, engine) {
      const claimed = engine ?? (await claimsOf(launchId)).get(deployment);
      const from = claimed === undefined ? members : members.filter(({ config }) => config.name === claimed);
      await fromEach(from, from, member =>
        member.ask(docker => docker.removeDeployment(launchId, deployment)),
      );
      if (!isAlone && engine === undefined) await claims.forget(launchId, deployment);
    },
    async removeLaunch(launchId) {
      const claimed = new Set((await claimsOf(launchId)).values());
      const holders = members.filter(({ config }) => claimed.has(config.name));
      const needed = claimed.size === 0 ? members : holders;
      await fromEach(members, needed, member => member.ask(docker => docker.removeLaunch(launchId)));
      if (!isAlone) await claims.forget(launchId);
    },
  };
}

/**
 * The engine that a deployment, or the newest of a launch, is on. Undefined: none of those that answer. Throws NoEngine where it
 * is on one that is waited for.
 */
export async function holderOf(
  group: Group,
  claims: Claims,
  launchId: string,
  deployment?: number,
): Promise<Member | undefined> {
  const { members } = group;
  if (members.length === 1) return members[0];
  const claimed = deployment === undefined ? undefined : (await claims.of(launchId)).get(deployment);
  if (claimed !== undefined) {
    const member = group.named(claimed);
    return member === undefined || group.isLost(member) ? undefined : member;
  }
  const { said } = await group.launches();
  const isIt = (one: FoundLaunch) =>
    one.launchId === launchId && (deployment === undefined || one.deployment === deployment);
  const found = said.flatMap(({ member, value }) => value.filter(isIt).map(one => ({ member, one })));
  return found.sort((a, b) => b.one.deployment - a.one.deployment)[0]?.member;
}
