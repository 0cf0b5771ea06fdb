/**
 * Which builder a Dockerfile needs, and in which words it is given to it.
 *
 * The classic builder is the rule, because the engine holds its steps to limits of memory and CPU. What is only written in newer
 * words is written in older ones for it: here-documents and `COPY --link`. BuildKit is for what has no older words. What
 * `# syntax=` names is a program from a registry that would read the Dockerfile; none is run but the one of the settings.
 */
import { createHash } from 'node:crypto';
import { BuildFailure, type BuildPlan, type PlanOptions, secretsArg } from './docker-types.ts';
import { type Dockerfile, type Instruction, readDockerfile, wordsOf } from './dockerfile.ts';
import { lowered } from './dockerfile-lowered.ts';

const basesMax = 64;
/** What every stage may ask for by ARG without it being given (BuildKit only). */
const automatic = /^(TARGET|BUILD)(PLATFORM|OS|ARCH|VARIANT)$/;
const automaticInUse = /\$\{?(?:TARGET|BUILD)(?:PLATFORM|OS|ARCH|VARIANT)\b/;
const secretMount = /^--mount=(?:.*,)?type=secret(?:,|$)/;
const classicFlags = /^--(from|chown|link)(=|$)/;
const official = /^(?:docker\.io\/)?docker\/dockerfile(?:-upstream)?(?::[\w.-]+)?(?:@sha256:[0-9a-f]{64})?$/;

/** Throws BuildFailure for a Dockerfile that no builder here can be given. */
export function planOf(text: string, options: PlanOptions): BuildPlan {
  const dockerfile = readDockerfile(text);
  refuseSyntax(dockerfile, options.frontend);
  const older = lowered(dockerfile);
  const needs = needsOf(dockerfile);
  const because = needs[0] ?? (older === null ? 'a here-document of COPY with variables in it' : null);
  const builder = because === null ? 'classic' : 'buildkit';
  if (because !== null && options.buildkit === 'off') {
    throw new BuildFailure(`This Dockerfile needs BuildKit for ${because}, which is off here.`);
  }
  const understands = options.frontend !== undefined || options.engineMajor >= modernMajor;
  if (older === null && !understands) {
    throw new BuildFailure(
      `This Dockerfile has ${because}: that needs a Docker Engine of version ${modernMajor} or later.`,
    );
  }
  // Newer words are left to a builder that has them.
  const isLowered = older !== null && !(builder === 'buildkit' && understands);
  const given = isLowered ? older.text : withoutSyntax(dockerfile);
  const hasSecrets = dockerfile.instructions.some(({ flags }) => flags.some(flag => secretMount.test(flag)));
  return {
    builder,
    because,
    hasSecrets,
    dockerfile: hasSecrets ? setApart(given) : given,
    files: isLowered ? older.files : [],
    sha256: createHash('sha256').update(text).digest('hex'),
    instructions: dockerfile.instructions.map(titleOf),
    ...stagesOf(dockerfile, options.args),
  };
}

/** Since when the engine's own frontend has here-documents and --link. */
const modernMajor = 23;

function refuseSyntax({ syntax }: Dockerfile, frontend: string | undefined): void {
  if (syntax === null || official.test(syntax.image) || syntax.image === frontend) return;
  throw new BuildFailure(
    `"# syntax=${syntax.image.slice(0, 200)}" names a program that would read the Dockerfile; ` +
      'only docker/dockerfile is taken here, for which the builder of the engine stands in.',
  );
}

/** Its lines keep their numbers: a comment stands where the directives end. */
function withoutSyntax({ lines, syntax, directives }: Dockerfile): string {
  if (syntax === null) return lines.join('\n');
  const others = lines.slice(0, directives).filter((_, at) => at !== syntax.line);
  return [...others, '#', ...lines.slice(directives)].join('\n');
}

/**
 * BuildKit caches a step by its command and files, and not by its secrets. The argument makes them a part of what it is known
 * by: a step is neither taken from another app, who has no such secret, nor from before the secret was changed.
 */
function setApart(text: string): string {
  const { lines, instructions } = readDockerfile(text);
  const ends = new Set(instructions.filter(({ keyword }) => keyword === 'FROM').map(({ to }) => to));
  return lines.flatMap((line, at) => (ends.has(at) ? [line, `ARG ${secretsArg}`] : [line])).join('\n');
}

function needsOf({ instructions }: Dockerfile): readonly string[] {
  return instructions.flatMap(({ keyword, flags, rest }) => {
    const names = flags.map(flag => flag.split('=')[0] ?? '');
    if (keyword === 'RUN') return names.map(name => `RUN ${name}`);
    if (keyword === 'COPY' || keyword === 'ADD') {
      return flags.filter(flag => !classicFlags.test(flag)).map(flag => `${keyword} ${flag.split('=')[0]}`);
    }
    if (keyword === 'ARG') {
      const names = wordsOf(rest).filter(each => !each.includes('='));
      return names.filter(each => automatic.test(each)).map(each => `ARG ${each}`);
    }
    const used = keyword === 'FROM' && automaticInUse.exec([...flags, rest].join(' '));
    return used ? [`FROM with ${used[0].replace(/[${]+/, '')}`] : [];
  });
}

/** By stage, which images it takes from elsewhere, and which of its instructions BuildKit counts as steps; from 1. */
function stagesOf({ instructions }: Dockerfile, args: Readonly<Record<string, string>>) {
  const globals = new Map<string, string>();
  const bases = new Set<string>();
  const stages: { name: string; steps: number[] }[] = [];
  const isStage = (ref: string) =>
    stages.slice(0, -1).some(({ name }) => name.toLowerCase() === ref.toLowerCase());
  const isElsewhere = (ref: string) => ref !== '' && ref !== 'scratch' && !isStage(ref) && !/^\d+$/.test(ref);
  const add = (ref: string) => {
    if (isElsewhere(ref) && bases.size < basesMax) bases.add(ref);
  };
  for (const [at, { keyword, flags, rest }] of instructions.entries()) {
    if (keyword === 'ARG' && stages.length === 0) setArgs(rest, args, globals);
    if (keyword === 'FROM') {
      const [ref = '', as = '', name = ''] = wordsOf(rest);
      stages.push({ name: as.toLowerCase() === 'as' ? name : `stage-${stages.length}`, steps: [] });
      const from = expand(unquoted(ref), globals);
      if (isElsewhere(from)) stages.at(-1)?.steps.push(at + 1);
      add(from);
    }
    if (['RUN', 'COPY', 'ADD', 'WORKDIR'].includes(keyword)) stages.at(-1)?.steps.push(at + 1);
    for (const flag of flags) {
      const from = /^--from=(.*)$/.exec(flag)?.[1] ?? /^--mount=(?:.*,)?from=([^,]*)/.exec(flag)?.[1];
      if (from !== undefined) add(expand(unquoted(from), globals));
    }
  }
  return { stages, bases: [...bases] };
}

function setArgs(rest: string, args: Readonly<Record<string, string>>, globals: Map<string, string>): void {
  for (const each of wordsOf(rest)) {
    const [name = '', ...value] = each.split('=');
    const given = Object.hasOwn(args, name) ? args[name] : undefined;
    globals.set(name, given ?? expand(unquoted(value.join('=')), globals));
  }
}

const unquoted = (word: string) => word.replaceAll(/["']/g, '');

/** `$A`, `${A}`, `${A:-default}` and `${A:+instead}`. */
function expand(text: string, known: ReadonlyMap<string, string>): string {
  return text.replaceAll(/\$(?:(\w+)|\{(\w+)(?:(:?[-+])([^}]*))?\})/g, (_, plain, braced, how, word) => {
    const value = known.get(plain ?? braced) ?? '';
    if (how?.endsWith('-')) return value === '' ? word : value;
    return how?.endsWith('+') ? (value === '' ? '' : word) : value;
  });
}

function titleOf({ keyword, flags, rest }: Instruction): string {
  return [keyword, ...flags, rest].filter(Boolean).join(' ');
}
