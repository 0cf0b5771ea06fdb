/** How a container ended, in words. */
import { setTimeout as wait } from 'node:timers/promises';
import type Dockerode from 'dockerode';
import { labelOf } from './docker-labels.ts';

const reasonCharsMax = 500;
const killed = 137;
const noteMsMax = 500;
const noteLookMs = 50;

/** What shells, the container's init and the kernel mean by an exit code. */
const meaningOf: Readonly<Record<number, string>> = {
  126: 'its command cannot be executed',
  127: 'its command was not found',
  137: 'it was killed',
  139: 'it touched memory that is not its own',
};

/**
 * What the engine knows of a container. That one was killed for the memory it used reaches the engine by another way than that
 * it has ended, and sometimes later: of one that was killed it is waited for, half a second at most.
 */
export async function inspectSettled(
  container: Dockerode.Container,
): Promise<Dockerode.ContainerInspectInfo> {
  let found = await container.inspect();
  for (let waited = 0; waited < noteMsMax && isUnexplained(found); waited += noteLookMs) {
    await wait(noteLookMs);
    found = await container.inspect();
  }
  return found;
}

function isUnexplained({ State: state }: Dockerode.ContainerInspectInfo): boolean {
  return !state.Running && state.ExitCode === killed && !state.OOMKilled;
}

/** How a container ended, in a sentence; and in another what may be behind it, where its image would have run as root. */
export function endOf(
  state: { ExitCode: number; OOMKilled: boolean; Error?: string },
  labels: Readonly<Record<string, string>> = {},
): string {
  if (state.OOMKilled) return 'The app used more memory than it may and was killed';
  if (state.Error) return state.Error.slice(0, reasonCharsMax);
  const meaning = meaningOf[state.ExitCode];
  const end = `The app ended by itself with exit code ${state.ExitCode}${meaning === undefined ? '' : `: ${meaning}`}`;
  if (labels[labelOf.demoted] === undefined || state.ExitCode === 0) return end;
  return `${end}. Its image would run as root, and it was run as an ordinary user`;
}
