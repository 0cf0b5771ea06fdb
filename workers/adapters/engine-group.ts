/** The engines of an installation together: what all of them say, and which of them are lost. */
import type { FoundLaunch } from './docker-types.ts';
import type { Member } from './engine-member.ts';
import { type AwayEngine, NoEngine, type OneEngine } from './engine-types.ts';

/** An answer that takes longer is none. */
const answerMsMax = 10_000;

type Answers<T> = {
  readonly said: readonly { readonly member: Member; readonly value: T }[];
  readonly away: readonly AwayEngine[];
};

export type Group = {
  readonly members: readonly Member[];
  named(name: string): Member | undefined;
  /** It has been away for long, and there is another one: nobody waits for it any more. */
  isLost(member: Member): boolean;
  /** Has all of them do something, and leaves out those that do not answer. */
  gather<T>(work: (docker: OneEngine) => Promise<T>): Promise<Answers<T>>;
  /** As `gather`, where nobody answering is an error: NoEngine. */
  gatherSome<T>(work: (docker: OneEngine) => Promise<T>): Promise<Answers<T>>;
  /** Every container on those that answer. */
  launches(): Promise<Answers<FoundLaunch[]>>;
};

export function groupOf(members: readonly Member[]): Group {
  const isLost = (member: Member) => member.isLongAway() && members.some(other => other.away() === undefined);

  const gather = async <T>(work: (docker: OneEngine) => Promise<T>): Promise<Answers<T>> => {
    const said: { member: Member; value: T }[] = [];
    const silent: { member: Member; reason: string }[] = [];
    const one = async (member: Member) => {
      try {
        said.push({ member, value: await within(answerMsMax, member.ask(work)) });
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        silent.push({ member, reason: member.away()?.reason ?? reason });
      }
    };
    await Promise.all(members.map(one));
    said.sort((a, b) => members.indexOf(a.member) - members.indexOf(b.member));
    // Asked once all have answered: whether one is lost depends on the others.
    const away = silent.map(({ member, reason }) => ({
      name: member.config.name,
      reason,
      isGivenUp: isLost(member),
    }));
    return { said, away };
  };
  const gatherSome = async <T>(work: (docker: OneEngine) => Promise<T>): Promise<Answers<T>> => {
    const answers = await gather(work);
    if (answers.said.length > 0) return answers;
    throw new NoEngine(answers.away.map(({ reason }) => reason).join('; '));
  };
  return {
    members,
    named: name => members.find(({ config }) => config.name === name),
    isLost,
    gather,
    gatherSome,
    launches: () => gatherSome(docker => docker.listLaunches()),
  };
}

async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${ms / 1000} s`)), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
