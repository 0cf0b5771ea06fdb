/** What `APPHUB_AUDIT_WITNESSES` says: who is handed each checkpoint. Throws an Error that says what would be right. */
import path from 'node:path';
import { readVerifier, type Verifier } from './proof/note.ts';

export type WitnessConfig = {
  readonly name: string;
  readonly everySeconds: number;
} & (
  | { readonly kind: 'file'; readonly folder: string }
  | { readonly kind: 'git'; readonly url: string; readonly branch: string }
  | {
      /** `witness` speaks the protocol of C2SP tlog-witness, `http` is posted each checkpoint. */
      readonly kind: 'http' | 'witness';
      readonly url: string;
      readonly key: Verifier | undefined;
      /** Whether it may have an address that is not of the public internet. */
      readonly isPrivate: boolean;
      /** Holds the token it is shown. */
      readonly tokenFile: string | undefined;
    }
);

const variable = 'APPHUB_AUDIT_WITNESSES';
const witnessesMax = 16;
const everySecondsMax = 86_400;
const gitEverySecondsDefault = 60;
const namePattern = /^[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?$/;
const branchPattern = /^[A-Za-z0-9](?:[A-Za-z0-9._/-]{0,100}[A-Za-z0-9])?$/;
const kinds = ['file', 'http', 'witness', 'git'] as const;
const known: readonly string[] = [...kinds, 'everySeconds', 'branch', 'key', 'private', 'tokenFile'];
const example =
  '{"archive": {"file": "/mnt/worm/apphub"}, "notary": {"http": "https://notary.example.org/"}}';

export function readWitnesses(text: string | undefined): readonly WitnessConfig[] {
  if (text === undefined || text.trim() === '') return [];
  let read: unknown;
  try {
    read = JSON.parse(text);
  } catch {
    throw new Error(`${variable} is no JSON; it must be like ${example}`);
  }
  if (typeof read !== 'object' || read === null || Array.isArray(read))
    throw new Error(`${variable} must be an object like ${example}`);
  const entries = Object.entries(read);
  if (entries.length > witnessesMax)
    throw new Error(`${variable} may name at most ${witnessesMax} witnesses`);
  return entries.map(([name, given]) => witnessOf(name, (given ?? {}) as Record<string, unknown>));
}

function witnessOf(name: string, given: Record<string, unknown>): WitnessConfig {
  const wrong = (what: string) => new Error(`${variable}: ${name} ${what}`);
  if (!namePattern.test(name)) throw wrong('is no name: small letters, digits and dashes, at most 32');
  const unknown = Object.keys(given).find(member => !known.includes(member));
  if (unknown !== undefined) throw wrong(`has "${unknown}", which means nothing`);
  const [kind, other] = kinds.filter(one => given[one] !== undefined);
  if (kind === undefined || other !== undefined) throw wrong(`must have one of ${kinds.join(', ')}`);
  const text = (member: string) => {
    const value = given[member];
    if (value === undefined || (typeof value === 'string' && value !== '')) return value;
    throw wrong(`: ${member} must be a text`);
  };
  const target = text(kind) ?? '';
  const everySeconds = given.everySeconds ?? (kind === 'git' ? gitEverySecondsDefault : 0);
  if (!Number.isInteger(everySeconds) || Number(everySeconds) < 0 || Number(everySeconds) > everySecondsMax)
    throw wrong(`: everySeconds must be a whole number from 0 to ${everySecondsMax}`);
  const common = { name, everySeconds: Number(everySeconds) };
  if (kind === 'file') {
    if (!path.isAbsolute(target)) throw wrong('must have an absolute path');
    return { ...common, kind, folder: target };
  }
  if (kind === 'git') {
    const branch = text('branch') ?? 'main';
    if (!branchPattern.test(branch) || branch.includes('..')) throw wrong(`: "${branch}" is no branch`);
    if (target.startsWith('-')) throw wrong('must have the address of a repository');
    return { ...common, kind, url: target, branch };
  }
  if (!/^https?:\/\/[^@\s]+$/.test(target) || !URL.canParse(target))
    throw wrong('must have an http or https address, without a name and a password');
  const key = keyOf(text('key'), wrong);
  if (kind === 'witness' && key === undefined) throw wrong('must have the key of the witness');
  if (given.private !== undefined && typeof given.private !== 'boolean')
    throw wrong(': private must be true or false');
  return {
    ...common,
    kind,
    url: target,
    key,
    isPrivate: given.private === true,
    tokenFile: text('tokenFile'),
  };
}

function keyOf(text: string | undefined, wrong: (what: string) => Error): Verifier | undefined {
  if (text === undefined) return undefined;
  try {
    return readVerifier(text);
  } catch (error) {
    throw wrong(`: ${(error as Error).message}`);
  }
}
