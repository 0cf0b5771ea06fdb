/** Build arguments: plain text that a Dockerfile asks for by `ARG`. They are in the history of the image and of the app. */
import { buildArgsMax, buildArgValueCharsMax, envKeyPattern } from '../kernel/limits.ts';

export type BuildArgs = { readonly [name: string]: string };

/** Words of the builder itself: by them a request would choose what reads the Dockerfile, or what the image is made for. */
const reserved = /^(BUILDKIT_|APPHUB_|TARGET(PLATFORM|OS|ARCH|VARIANT)$|BUILD(PLATFORM|OS|ARCH|VARIANT)$)/;

/** Undefined when these can be given to a build; else the argument that cannot, and why. */
export function checkBuildArgs(args: BuildArgs): { name: string; problem: string } | undefined {
  const names = Object.keys(args);
  if (names.length > buildArgsMax) return { name: '', problem: `must be at most ${buildArgsMax}` };
  for (const name of names) {
    const problem = checkName(name) ?? checkValue(args[name] ?? '');
    if (problem !== undefined) return { name, problem };
  }
  return undefined;
}

function checkName(name: string): string | undefined {
  if (!new RegExp(envKeyPattern).test(name)) return 'must have a name of letters, digits and _';
  return reserved.test(name) ? 'is a name that the builder keeps to itself' : undefined;
}

function checkValue(value: string): string | undefined {
  if (value.length > buildArgValueCharsMax) return `must have at most ${buildArgValueCharsMax} characters`;
  return value.includes('\0') ? 'must not hold a NUL character' : undefined;
}

/** What the app declares, and over it what this request gives. */
export function mergeBuildArgs(declared: BuildArgs, given: BuildArgs): BuildArgs {
  return { ...declared, ...given };
}
