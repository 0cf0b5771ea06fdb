/**
 * How one key hands over to the next: a note that both have signed. Whoever trusts one of them may trust the other for the
 * same origin, and so on from change to change.
 *
 *   apphub audit key change v1
 *   origin apphub.example/log
 *   from apphub.example/log+03ade0ae+AY…
 *   to apphub.example/log+5b1c3f77+AT…
 *   time 2026-01-02T03:04:05.678Z
 */
import {
  NoteError,
  parseNote,
  readVerifier,
  type Signer,
  signNote,
  type Verifier,
  verifyNote,
} from './note.ts';

const title = 'apphub audit key change v1';

export type KeyChange = {
  readonly origin: string;
  readonly from: Verifier;
  readonly to: Verifier;
  readonly time: string;
};

export function signKeyChange(origin: string, from: Signer, to: Signer, time: string): string {
  const lines = [title, `origin ${origin}`, `from ${from.vkey}`, `to ${to.vkey}`, `time ${time}`];
  return signNote(`${lines.join('\n')}\n`, from, to);
}

/** Reads one and checks both signatures. Throws NoteError for whatever is none. */
export function readKeyChange(note: string): KeyChange {
  const parsed = parseNote(note);
  const found = /^apphub audit key change v1\norigin (\S+)\nfrom (\S+)\nto (\S+)\ntime (\S+)\n$/.exec(
    parsed.text,
  );
  const [, origin = '', fromText = '', toText = '', time = ''] = found ?? [];
  if (found === null) throw new NoteError('This is no change of keys');
  const [from, to] = [readVerifier(fromText), readVerifier(toText)];
  const signed = verifyNote(parsed, [from, to]).map(({ by }) => by.vkey);
  if (!signed.includes(from.vkey) || !signed.includes(to.vkey) || from.vkey === to.vkey)
    throw new NoteError('A change of keys has to be signed by both');
  return { origin, from, to, time };
}

/** Every key that may be trusted for the origin of a trusted one, by changes in either direction. */
export function trustedKeys(anchor: Verifier, changes: readonly string[]): readonly Verifier[] {
  const read = changes.map(readKeyChange).filter(change => change.origin === anchor.name);
  const trusted = new Map([[anchor.vkey, anchor]]);
  for (let before = 0; before < trusted.size; ) {
    before = trusted.size;
    for (const { from, to } of read) {
      if (trusted.has(from.vkey)) trusted.set(to.vkey, to);
      else if (trusted.has(to.vkey)) trusted.set(from.vkey, from);
    }
  }
  return [...trusted.values()];
}
