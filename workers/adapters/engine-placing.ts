/**
 * Finds the engine for what is to be made. Where a launch goes is claimed before anything is done there, so that whoever is to
 * bring it up after a crash goes to the same engine.
 */
import { setTimeout as wait } from 'node:timers/promises';
import type { Machine } from './docker-store-types.ts';
import { LaunchFailure, type StartContainerRequest } from './docker-types.ts';
import { type Candidate, chooseEngine, lacks, type Wanted } from './engine-choice.ts';
import type { Claims } from './engine-claims.ts';
import type { Group } from './engine-group.ts';
import { findHolders } from './engine-images.ts';
import type { Member } from './engine-member.ts';
import { keyOf, type Promises } from './engine-promises.ts';
import { type BuildPlace, NoEngine } from './engine-types.ts';

const lookAgainMs = 1_000;

type Deps = { readonly group: Group; readonly claims: Claims; readonly promises: Promises };

/** `done` ends its being counted as on its way there. */
type Placed = { readonly member: Member; done(): void };

type Placing = {
  forLaunch(request: StartContainerRequest): Promise<Placed>;
  /** Waits until there is one with room. */
  forBuild(place: BuildPlace): Promise<Placed>;
};

export function placing(deps: Deps): Placing {
  let turn: Promise<unknown> = Promise.resolve();
  /** One choice after the other: each counts on those before it. */
  const inTurn = <T>(choose: () => Promise<T>): Promise<T> => {
    const chosen = turn.then(choose);
    turn = chosen.catch(() => undefined);
    return chosen;
  };
  const noted = (member: Member, wanted: Wanted, key?: string) => ({
    member,
    done: deps.promises.note(member.config.name, wanted, key),
  });
  return {
    forLaunch(request) {
      const { launchId, deployment, cpus, memoryBytes } = request;
      const wanted = { cpus, memoryBytes, isLaunch: true };
      return inTurn(async () => {
        const member = await placeLaunch(deps, request, wanted);
        return noted(member, wanted, keyOf(launchId, deployment));
      });
    },
    async forBuild(place) {
      for (;;) {
        try {
          return await inTurn(async () => {
            const { member, wanted } = await placeBuild(deps, place);
            return noted(member, wanted);
          });
        } catch (error) {
          if (!(error instanceof NoEngine)) throw error;
        }
        await wait(lookAgainMs, undefined, { signal: place.signal }).catch(() => undefined);
        place.signal.throwIfAborted();
      }
    },
  };
}

async function placeLaunch(deps: Deps, request: StartContainerRequest, wanted: Wanted): Promise<Member> {
  const { group, claims } = deps;
  const { launchId, deployment, image } = request;
  const fitting = await fittingMembers(group, request);
  const [only] = fitting;
  const isAlone = group.members.length === 1;
  if (isAlone && only !== undefined && isBoundless(only)) return only;
  // What it keeps is on this engine and on no other.
  if (request.engine !== undefined && !isAlone) {
    return awaitedMember(group, await claims.claim(launchId, deployment, request.engine));
  }
  const claimed = isAlone ? undefined : (await claims.of(launchId)).get(deployment);
  if (claimed !== undefined) return awaitedMember(group, claimed);
  // It may be there already: brought up before there were claims, or on the only engine.
  const isThere = (await group.launches()).said.find(({ value }) =>
    value.some(one => one.launchId === launchId && one.deployment === deployment),
  );
  if (isThere !== undefined) return isThere.member;
  const places = isAlone ? undefined : await findHolders(group.members, image);
  const able = await runnersOf(fitting, places?.image.platform);
  const isAtHand = (member: Member) => places?.holders.includes(member) ?? false;
  const chosen = await choose(deps, able, () => wanted, isAtHand);
  if (isAlone) return chosen.member;
  return awaitedMember(group, await claims.claim(launchId, deployment, chosen.member.config.name));
}

/** The builds of an app go to the same engine where that makes no great difference: it has their layers. */
async function placeBuild({ group, promises, claims }: Deps, place: BuildPlace) {
  const builders = group.members.filter(({ config }) => config.builds);
  const holders = place.imageId === undefined ? undefined : await findHolders(group.members, place.imageId);
  const usual = builders[numberOf(place.appId) % builders.length];
  const wantedOn = (machine: Machine) => {
    const { cpus, memoryBytes } = place.limitsOn(machine);
    return { cpus, memoryBytes, isLaunch: false };
  };
  const members = holders?.holders ?? builders;
  return choose({ group, promises, claims }, members, wantedOn, member => member === usual);
}

async function choose(
  { promises }: Deps,
  members: readonly Member[],
  wantedOn: (machine: Machine) => Wanted,
  isAtHand: (member: Member) => boolean,
): Promise<{ member: Member; wanted: Wanted }> {
  const promised = await promises.all();
  const candidates: (Candidate & { member: Member })[] = [];
  for (const { member, machine } of await sizesOf(members)) {
    const { name, limits } = member.config;
    const own = { promised: promised(name), wanted: wantedOn(machine), isAtHand: isAtHand(member) };
    candidates.push({ machine, limits, member, ...own });
  }
  const chosen = chooseEngine(candidates);
  if (chosen !== undefined) return chosen;
  const isFull = candidates.length > 0;
  throw new NoEngine(isFull ? 'No engine has room for it at present' : 'No engine that may do it answers');
}

/** Of those that answer. */
async function sizesOf(members: readonly Member[]): Promise<{ member: Member; machine: Machine }[]> {
  const sizes = await Promise.all(members.map(member => member.machine().catch(() => undefined)));
  return members.flatMap((member, index) => {
    const machine = sizes[index];
    return machine === undefined || member.away() !== undefined ? [] : [{ member, machine }];
  });
}

/** Engines that are what the app asks for, and can do what it needs. */
async function fittingMembers({ members }: Group, request: StartContainerRequest): Promise<Member[]> {
  const { placement = {} } = request;
  const refusals: string[] = [];
  const fitting: Member[] = [];
  for (const member of members) {
    const { kind, labels } = member.config;
    // The nodes of a swarm have labels of their own.
    if (kind === 'engine' && lacks(labels, placement).length > 0) continue;
    const { refuses } = member.docker;
    const refusal = refuses && (await member.ask(() => refuses(request)).catch(error => ignoreAway(error)));
    if (refusal === undefined) fitting.push(member);
    else refusals.push(refusal);
  }
  if (fitting.length > 0) return fitting;
  const labels = Object.entries(placement).map(([key, value]) => `${key}=${value}`);
  const asked =
    labels.length === 0 ? [] : [`The app asks for an engine with ${labels.join(', ')}, and there is none`];
  throw new LaunchFailure([...asked, ...refusals].join('. '));
}

/** One that is away may be right for it. */
function ignoreAway(error: unknown): undefined {
  if (!(error instanceof NoEngine)) throw error;
}

/** Those that run such images; undefined: nobody knows yet what it is for. */
async function runnersOf(members: readonly Member[], platform: string | undefined): Promise<Member[]> {
  const sizes = await sizesOf(members);
  const runners = sizes.filter(({ machine }) => platform === undefined || machine.platform === platform);
  if (runners.length > 0 || sizes.length < members.length) return runners.map(({ member }) => member);
  throw new LaunchFailure(`The image is for ${platform}, and no engine runs that`);
}

/** The engine that something belongs to, unless it is lost. */
function awaitedMember(group: Group, name: string): Member {
  const member = group.named(name);
  if (member === undefined) throw new LaunchFailure(`There is no engine ${name} any more`);
  const away = member.away();
  if (away !== undefined && group.isLost(member)) {
    throw new LaunchFailure(`The engine ${name} is away for long: ${away.reason}`);
  }
  return member;
}

const isBoundless = ({ config: { limits } }: Member) =>
  Object.values(limits).every(limit => limit === undefined);

/** The same for the same text, whoever asks. */
function numberOf(text: string): number {
  let sum = 0;
  for (const letter of text) sum = (sum * 31 + (letter.codePointAt(0) ?? 0)) % 1_000_003;
  return sum;
}
