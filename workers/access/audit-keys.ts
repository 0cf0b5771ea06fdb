/**
 * The private keys of the tree, in `<data>/audit/`: `key` signs, `key.next` is about to. A new key is on the disk before the
 * log knows of it, and signs only after; whatever crash comes in between, the next start finds out from the log how far it got.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { stateOf } from '../../commands/execute.ts';
import { type AuditTreeState, auditTree, auditTreeId } from '../../domain/access/audit-tree.ts';
import type { Recorded } from '../../domain/events.ts';
import { faultPoint } from '../../platform/fault.ts';
import { signKeyChange } from '../../platform/proof/key-change.ts';
import { newSigner, readSigner, type Signer } from '../../platform/proof/note.ts';
import { keepSecret } from '../../platform/secret-file.ts';
import { attempt, causedBy, type Send } from '../effect.ts';

export type KeyDeps = Send & { readonly folder: string; readonly origin: string };

/** `signer` is undefined where the key of the tree is not here; then nothing can be signed, and `problem` says why. */
export type Keys = {
  readonly state: AuditTreeState;
  readonly signer: Signer | undefined;
  readonly problem: string | null;
};

/** Another worker was faster: the next look at the log says with what. */
const overtaken = ['audit-tree/foreign-key'] as const;

const files = (folder: string) => ({ key: path.join(folder, 'key'), next: path.join(folder, 'key.next') });

function readKey(file: string): Signer | undefined {
  return existsSync(file) ? readSigner(readFileSync(file, 'utf8')) : undefined;
}

/** The key in the file; a new one of this name, which is on the disk when this returns, where there is none of it. */
function keepKey(file: string, name: string): Signer {
  const known = readKey(file);
  if (known?.name === name) return known;
  mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
  const made = newSigner(name);
  keepSecret(file, { given: made.skey });
  return made;
}

/** Does what the log asks for: the first key, another one, a new beginning. Doing it again changes nothing. */
export async function settleKeys(deps: KeyDeps): Promise<Keys> {
  const { store, folder } = deps;
  const { key, next } = files(folder);
  for (;;) {
    const found = await stateOf(store, auditTree, auditTreeId);
    const state = found?.state ?? auditTree.initialState;
    const [signer, coming] = [readKey(key), readKey(next)];
    const last = found?.events.at(-1);
    if (state.key === null) await begin(deps, keepKey(key, signer?.name ?? deps.origin), undefined);
    else if (coming !== undefined && coming.vkey === state.key) renameSync(next, key);
    else if (state.restartBecause !== null)
      await begin(deps, keepKey(next, originAgain(state, found?.events ?? [])), last);
    else if (signer?.vkey !== state.key)
      return { state, signer: undefined, problem: foreign(folder, state.key) };
    else if (state.rotationWanted) await rotate(deps, signer, keepKey(next, signer.name), last);
    else {
      rmSync(next, { force: true });
      return { state, signer, problem: null };
    }
  }
}

const foreign = (folder: string, key: string) =>
  `The tree is signed with the key ${key.split('+')[1]}, which is not in ${folder}: nothing is signed. ` +
  'Put it back, or let the tree begin again with `apphub audit restart`.';

/** `apphub.example/audit/2` for the second beginning. */
function originAgain({ beginnings }: AuditTreeState, events: readonly Recorded[]): string {
  const first = events.find(event => event.type === 'AuditTreeBegun');
  const origin = first?.type === 'AuditTreeBegun' ? first.data.origin : 'apphub';
  return `${origin}/${beginnings + 1}`;
}

async function begin(deps: KeyDeps, signer: Signer, because: Recorded | undefined): Promise<void> {
  faultPoint('audit.key-made');
  const data = { treeId: auditTreeId, at: deps.clock.now(), origin: signer.name, key: signer.vkey };
  await attempt(
    deps,
    auditTree,
    auditTreeId,
    { type: 'BeginAuditTree', data },
    metadata(deps, because),
    overtaken,
  );
  faultPoint('audit.key-recorded');
}

async function rotate(deps: KeyDeps, from: Signer, to: Signer, because: Recorded | undefined): Promise<void> {
  faultPoint('audit.key-made');
  const at = deps.clock.now();
  const statement = signKeyChange(from.name, from, to, at);
  const data = { treeId: auditTreeId, at, from: from.vkey, to: to.vkey, statement };
  await attempt(
    deps,
    auditTree,
    auditTreeId,
    { type: 'RotateAuditKey', data },
    metadata(deps, because),
    overtaken,
  );
  faultPoint('audit.key-recorded');
}

/** Caused by what was asked for, or by nothing but the first start. */
export function metadata({ clock }: Send, because: Recorded | undefined) {
  if (because !== undefined) return causedBy(because, clock);
  const id = clock.newId();
  return { actor: 'workers', correlationId: id, causationId: id, time: clock.now() };
}
