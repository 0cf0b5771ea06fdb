/**
 * Tokens of the installation itself: the one made on the first start, and those that the environment or a file names. Only their
 * digests are kept in memory. A file is read again when it has changed; one that cannot be used leaves what was known before.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { isGrant } from '../domain/access/scope.ts';
import type { Identity } from './auth.ts';

const lookMs = 1_000;
const tokenCharsMin = 16;
const operatorsMax = 1_000;
/** What begins with `oidc:` is somebody the provider told of. */
const subjectPattern = /^(?!oidc:)[\w.@:+-]{1,120}$/;

export type Operator = {
  readonly subject: string;
  readonly token: string;
  readonly scopes: readonly string[];
  readonly apps?: readonly string[];
};
export type Operators = {
  identify(token: string): Identity | undefined;
  /** Whether there is a token of this subject still. */
  has(subject: string): boolean;
};

type Known = { readonly sha256: Buffer; readonly identity: Identity };

/** Reads a JSON list of operators. Throws an Error that says what is wrong with it, without repeating a token. */
export function parseOperators(text: string): readonly Operator[] {
  let list: unknown;
  try {
    list = JSON.parse(text);
  } catch {
    throw new Error('it must be JSON: a list of {"subject", "token", "scopes"}');
  }
  if (!Array.isArray(list)) throw new Error('it must be a list of {"subject", "token", "scopes"}');
  if (list.length > operatorsMax) throw new Error(`it has more than ${operatorsMax} entries`);
  return list.map((entry, at) => parseOne(entry, `entry ${at + 1}`));
}

function parseOne(entry: unknown, where: string): Operator {
  const { subject, token, scopes, apps } = (entry ?? {}) as { [field: string]: unknown };
  if (typeof subject !== 'string' || !subjectPattern.test(subject))
    throw new Error(`${where}: subject must match ${subjectPattern.source}`);
  if (typeof token !== 'string' || token.length < tokenCharsMin || !/^[A-Za-z0-9._~+-]+$/.test(token))
    throw new Error(
      `${where} (${subject}): token needs at least ${tokenCharsMin} letters, digits and . _ ~ + -`,
    );
  if (!isTexts(scopes)) throw new Error(`${where} (${subject}): scopes must be a list of scopes`);
  const unknown = scopes.find(scope => !isGrant(scope));
  if (unknown !== undefined) throw new Error(`${where} (${subject}): there is no scope "${unknown}"`);
  if (apps === undefined) return { subject, token, scopes };
  if (!isTexts(apps))
    throw new Error(`${where} (${subject}): apps must be a list of ids or beginnings like team-*`);
  return { subject, token, scopes, apps };
}

const isTexts = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every(one => typeof one === 'string');

export function knownOperators(list: readonly Operator[]): Operators {
  const known = list.map(knownOf);
  return { identify: token => identify(known, token), has: subject => has(known, subject) };
}

/** Those of a file, as it is now: it is looked at again at most once a second. */
export function operatorsFile(file: string, log: { warn(detail: object, line: string): void }): Operators {
  let known = parseOperators(readFileSync(file, 'utf8')).map(knownOf);
  let stamp = stampOf(file);
  let lookedAt = performance.now();
  const look = () => {
    if (performance.now() - lookedAt < lookMs) return;
    lookedAt = performance.now();
    try {
      const now = stampOf(file);
      if (now === stamp) return;
      known = parseOperators(readFileSync(file, 'utf8')).map(knownOf);
      stamp = now;
    } catch (error) {
      log.warn({ err: error, file }, 'the operators of before stay: their file cannot be used');
    }
  };
  return {
    identify(token) {
      look();
      return identify(known, token);
    },
    has(subject) {
      look();
      return has(known, subject);
    },
  };
}

export const anyOf = (...all: readonly Operators[]): Operators => ({
  identify: token => all.map(one => one.identify(token)).find(found => found !== undefined),
  has: subject => all.some(one => one.has(subject)),
});

const has = (known: readonly Known[], subject: string) =>
  known.some(({ identity }) => identity.subject === subject);

const stampOf = (file: string) => {
  const { mtimeNs, ino, size } = statSync(file, { bigint: true });
  return `${mtimeNs} ${ino} ${size}`;
};

function knownOf({ subject, token, scopes, apps }: Operator): Known {
  const sha256 = createHash('sha256').update(token).digest();
  const rest = { expiresAt: null, credentialId: null, csrfToken: null } as const;
  return { sha256, identity: { subject, kind: 'operator', scopes, apps: apps ?? null, ...rest } };
}

/** Looks at every one, so that it takes the same time for each. */
function identify(known: readonly Known[], token: string): Identity | undefined {
  const sha256 = createHash('sha256').update(token).digest();
  let found: Identity | undefined;
  for (const one of known) if (timingSafeEqual(one.sha256, sha256)) found = one.identity;
  return found;
}
