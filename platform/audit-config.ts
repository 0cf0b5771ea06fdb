/** What the environment says of the tree over all events and its witnesses. Throws an Error that says what would be right. */
import { isKeyName, keyTypes, readVerifier, type Verifier } from './proof/note.ts';

type Env = Readonly<Record<string, string | undefined>>;

type WitnessConfig = { readonly name: string } & (
  | { readonly kind: 'folder'; readonly folder: string }
  | { readonly kind: 'http'; readonly url: URL; readonly key: Verifier }
  | { readonly kind: 'git'; readonly remote: string; readonly branch: string }
);

export type AuditConfig = {
  readonly enabled: boolean;
  /** The name the tree is signed under; undefined: made of where people reach AppHub. Counts on the first start only. */
  readonly origin: string | undefined;
  readonly checkpointEvents: number;
  readonly checkpointSeconds: number;
  readonly witnesses: readonly WitnessConfig[];
};

const eventsMax = 1_000_000;
const secondsMax = 86_400;
const witnessesMax = 16;
const branchDefault = 'apphub-audit';

export function readAudit(env: Env): AuditConfig {
  const origin = env.APPHUB_AUDIT_ORIGIN?.trim() || undefined;
  if (origin !== undefined && !isKeyName(origin))
    throw new Error(`APPHUB_AUDIT_ORIGIN is "${origin}"; it must have neither spaces nor a plus sign`);
  return {
    enabled: flag(env, 'APPHUB_AUDIT_TREE'),
    origin,
    checkpointEvents: whole(env, 'APPHUB_AUDIT_CHECKPOINT_EVENTS', 1_000, eventsMax),
    checkpointSeconds: whole(env, 'APPHUB_AUDIT_CHECKPOINT_SECONDS', 60, secondsMax),
    witnesses: witnesses(env.APPHUB_AUDIT_WITNESSES?.trim() || '[]'),
  };
}

function flag(env: Env, name: string): boolean {
  const given = env[name]?.trim().toLowerCase() || 'true';
  if (['1', 'true', 'yes', 'on'].includes(given)) return true;
  if (['0', 'false', 'no', 'off'].includes(given)) return false;
  throw new Error(`${name} is "${given}"; it must be true or false`);
}

function whole(env: Env, name: string, byDefault: number, max: number): number {
  const given = env[name]?.trim() || String(byDefault);
  const value = Number(given);
  if (Number.isInteger(value) && value >= 1 && value <= max) return value;
  throw new Error(`${name} is "${given}"; it must be a whole number from 1 to ${max}`);
}

function witnesses(text: string): readonly WitnessConfig[] {
  let list: unknown;
  try {
    list = JSON.parse(text);
  } catch {
    list = undefined;
  }
  if (!Array.isArray(list) || list.length > witnessesMax)
    throw new Error(`APPHUB_AUDIT_WITNESSES must be a JSON list of at most ${witnessesMax} witnesses`);
  const read = list.map(witness);
  const twice = read.find(({ name }, at) => read.findIndex(one => one.name === name) !== at);
  if (twice !== undefined) throw new Error(`APPHUB_AUDIT_WITNESSES has two of the name "${twice.name}"`);
  return read;
}

function witness(given: Record<string, unknown> | null): WitnessConfig {
  const { name, folder, url, key, git, branch = branchDefault } = given ?? {};
  const wrong = (what: string) => new Error(`APPHUB_AUDIT_WITNESSES: ${what}`);
  if (typeof name !== 'string' || !/^[\w.-]{1,64}$/.test(name))
    throw wrong('each needs a "name" of letters, digits and . _ -');
  const kinds = [folder, url, git].filter(one => one !== undefined);
  if (kinds.length !== 1 || typeof kinds[0] !== 'string')
    throw wrong(`"${name}" needs one of "folder", "url" and "git"`);
  if (typeof folder === 'string') return { name, kind: 'folder', folder };
  if (typeof git === 'string') {
    if (typeof branch !== 'string' || !/^[\w][\w./-]{0,99}$/.test(branch))
      throw wrong(`"${name}" has no such "branch"`);
    return { name, kind: 'git', remote: git, branch };
  }
  const address = URL.parse(String(url));
  if (address === null || !['http:', 'https:'].includes(address.protocol))
    throw wrong(`the "url" of "${name}" must begin with https:// or http://`);
  try {
    const verifier = readVerifier(String(key));
    if (verifier.type === keyTypes.witness) return { name, kind: 'http', url: address, key: verifier };
  } catch {
    // The same is wrong with it as with a key of another type.
  }
  throw wrong(
    `"${name}" needs its "key": the public key of the witness, as name+id+base64, for cosignatures`,
  );
}
