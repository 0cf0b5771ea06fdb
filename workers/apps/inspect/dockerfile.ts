/**
 * What a Dockerfile says about the image it makes: where it comes from, which ports it offers, whether it can tell its health.
 * Follows Docker's reference: ARGs before the first FROM serve only FROM lines; a stage has its own variables; a stage that
 * is built on another one inherits what that one declared.
 */
import path from 'node:path';
import { Add, Copy, DockerfileParser, Env, type Instruction } from 'dockerfile-ast';
import { portsMax } from '../../../domain/kernel/limits.ts';

const valueCharsMax = 1_024;
const stagesMax = 64;
const sourcesMax = 1_000;
const wordsMax = 2_000;

type Stage = {
  name: string | null;
  /** The image the stage goes back to, through other stages; `scratch` for none. */
  baseImage: string;
};

export type Dockerfile = {
  stages: Stage[];
  /** TCP ports of the image, in the order of the file. */
  ports: number[];
  healthcheck: boolean;
  /** The words of RUN, CMD and ENTRYPOINT, lower case. */
  commands: string;
  /** What COPY and ADD of any stage take out of the build's context: paths and patterns, with their variables put in. */
  sources: string[];
  /** The words of RUN, CMD and ENTRYPOINT as they are, those below the working folder relative to it. */
  words: string[];
};

type Variables = ReadonlyMap<string, string>;
type StageState = Stage & {
  args: Map<string, string>;
  env: Map<string, string>;
  ports: number[];
  healthcheck: boolean;
  workdir: string;
};

/** Reads a Dockerfile, or gives null for a text without a FROM instruction. Never throws. */
export function parseDockerfile(text: string): Dockerfile | null {
  const instructions = readInstructions(text);
  const globals = new Map<string, string>();
  const stages: StageState[] = [];
  const commands: string[] = [];
  const sources: string[] = [];
  const words: string[] = [];
  for (const { keyword, args, json } of instructions) {
    const stage = stages.at(-1);
    if (keyword === 'FROM') {
      const begun = beginStage(args, globals, stages);
      if (begun === null || stages.length === stagesMax) return null;
      stages.push(begun);
    } else if (keyword === 'ARG') {
      for (const arg of args) declareArg(arg, globals, stage);
    } else if (stage !== undefined) {
      applyInstruction(stage, keyword, args);
      if (['COPY', 'ADD'].includes(keyword)) sources.push(...sourcesOf(json ?? args, stage));
      if (['RUN', 'CMD', 'ENTRYPOINT'].includes(keyword)) {
        commands.push(args.join(' ').toLowerCase());
        words.push(...wordsOf(json ?? args, stage));
      }
    }
  }
  const last = stages.at(-1);
  if (last === undefined) return null;
  return {
    stages: stages.map(({ name, baseImage }) => ({ name, baseImage })),
    ports: last.ports,
    healthcheck: last.healthcheck,
    commands: commands.join('\n'),
    sources: sources.slice(0, sourcesMax),
    words: words.slice(0, wordsMax),
  };
}

type Read = {
  keyword: string;
  args: string[];
  /** The words of the form with brackets. */
  json: string[] | null;
};

function readInstructions(text: string): Read[] {
  try {
    return DockerfileParser.parse(text).getInstructions().map(readInstruction);
  } catch {
    return [];
  }
}

function readInstruction(instruction: Instruction): Read {
  const keyword = instruction.getKeyword().toUpperCase();
  const isCopy = instruction instanceof Copy || instruction instanceof Add;
  const isOther = isCopy && instruction.getFlags().some(flag => flag.getName() === 'from');
  // What comes from another stage or image is not of the context.
  if (isOther) return { keyword, args: [], json: null };
  return { keyword, args: argumentsOf(instruction), json: jsonOf(instruction) };
}

function jsonOf(instruction: Instruction): string[] | null {
  const content = instruction.getArgumentsContent()?.replace(/^(?:--\S+\s+)*/, '');
  if (content?.startsWith('[') !== true) return null;
  try {
    const words: unknown = JSON.parse(content.replace(/\\\r?\n/g, ''));
    return Array.isArray(words) && words.every(word => typeof word === 'string') ? words : null;
  } catch {
    return null;
  }
}

/** All words but the last, which says where to. Addresses and texts that stand in the Dockerfile itself are none of them. */
function sourcesOf(args: readonly string[], stage: StageState): string[] {
  const variables = variablesOf(stage);
  const given = args[0]?.startsWith('<<') ? [] : args.slice(0, -1).filter(arg => !arg.startsWith('--'));
  return given
    .map(source => substitute(source, variables))
    .filter(source => source !== '' && !/^(?:[a-z][a-z+]*:\/\/|git@)/i.test(source));
}

function wordsOf(args: readonly string[], { workdir }: StageState): string[] {
  const below = workdir.endsWith('/') ? workdir : `${workdir}/`;
  return args
    .flatMap(arg => arg.split(/[\s;&|()<>"'`=,]+/))
    .map(word => (word.startsWith(below) ? word.slice(below.length) : word))
    .filter(word => word !== '' && word.length <= valueCharsMax);
}

/** The words of an instruction; for ENV, in both of its forms, `NAME=value` without quotes. */
function argumentsOf(instruction: Instruction): string[] {
  if (instruction instanceof Env) {
    return instruction.getProperties().map(each => `${each.getName()}=${each.getValue() ?? ''}`);
  }
  return instruction.getArguments().map(each => each.getValue());
}

function beginStage(args: string[], globals: Map<string, string>, stages: StageState[]): StageState | null {
  const [image = '', as = '', named] = args.filter(arg => !arg.startsWith('--'));
  const from = substitute(image, globals);
  if (from === '') return null;
  const name = as.toUpperCase() === 'AS' && named !== undefined ? named.toLowerCase() : null;
  const parent = stages.findLast(stage => stage.name === from.toLowerCase());
  return {
    name,
    baseImage: parent?.baseImage ?? from,
    args: new Map(),
    env: new Map(parent?.env),
    ports: [...(parent?.ports ?? [])],
    healthcheck: parent?.healthcheck ?? false,
    workdir: parent?.workdir ?? '/',
  };
}

function declareArg(arg: string, globals: Map<string, string>, stage: StageState | undefined): void {
  const [name, value] = splitPair(arg);
  if (stage === undefined) {
    globals.set(name, substitute(value ?? '', globals));
    return;
  }
  // An ARG without a value takes that of the same name before FROM.
  const given = value === undefined ? globals.get(name) : substitute(value, variablesOf(stage));
  if (given !== undefined) stage.args.set(name, given);
}

/** An ENV goes before an ARG of the same name. */
function variablesOf({ args, env }: StageState): Variables {
  return new Map([...args, ...env]);
}

function applyInstruction(stage: StageState, keyword: string, args: string[]): void {
  const variables = variablesOf(stage);
  if (keyword === 'ENV') {
    for (const [name, value] of args.map(splitPair)) stage.env.set(name, substitute(value ?? '', variables));
  } else if (keyword === 'WORKDIR') {
    stage.workdir = path.posix.resolve(stage.workdir, substitute(args.join(' '), variables));
  } else if (keyword === 'HEALTHCHECK') {
    stage.healthcheck = args.find(arg => !arg.startsWith('--'))?.toUpperCase() === 'CMD';
  } else if (keyword === 'EXPOSE') {
    const words = args.flatMap(arg => substitute(arg, variables).split(/\s+/));
    for (const port of words.flatMap(readPorts)) {
      if (!stage.ports.includes(port) && stage.ports.length < portsMax) stage.ports.push(port);
    }
  }
}

function splitPair(text: string): [string, string | undefined] {
  const at = text.indexOf('=');
  if (at === -1) return [text, undefined];
  return [text.slice(0, at), text.slice(at + 1).replace(/^(["'])(.*)\1$/, '$2')];
}

/** `$NAME`, `${NAME}`, `${NAME:-other}`, `${NAME:+other}` and the forms without colon. */
function substitute(text: string, variables: Variables): string {
  const pattern = /\\\$|\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)(?:(:?[-+])([^{}]*))?\})/g;
  const substituted = text.replace(pattern, (whole, plain, braced, operator: string | undefined, other) => {
    if (whole === '\\$') return '$';
    const value = variables.get(plain ?? braced) ?? '';
    if (operator === undefined) return value;
    const alternative = substitute(String(other ?? ''), variables);
    return operator.endsWith('-') ? value || alternative : value && alternative;
  });
  return substituted.slice(0, valueCharsMax);
}

/** The TCP ports of `80`, `80/tcp` or `8000-8003`; UDP ports are none of ours. */
function readPorts(text: string): number[] {
  const [, from, to = from] = /^["']?(\d{1,5})(?:-(\d{1,5}))?(?:\/tcp)?["']?$/i.exec(text) ?? [];
  const first = Number(from);
  const last = Number(to);
  if (!(first >= 1 && last <= 65_535 && first <= last)) return [];
  return Array.from({ length: Math.min(last - first + 1, portsMax) }, (_, n) => first + n);
}
