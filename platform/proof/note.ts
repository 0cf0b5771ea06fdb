/**
 * Signed notes (C2SP signed-note): a text that ends in a newline, an empty line, and lines of signatures. Signatures are
 * Ed25519, by a log over the text itself (type 0x01), or by a witness over the text and a time (type 0x04, C2SP
 * tlog-cosignature).
 */
import {
  createPrivateKey,
  createPublicKey,
  hash,
  type KeyObject,
  randomBytes,
  sign as signBytes,
  verify as verifyBytes,
} from 'node:crypto';

/** Of a log, and of a witness. */
export const keyTypes = { log: 0x01, witness: 0x04 } as const;
type KeyType = (typeof keyTypes)[keyof typeof keyTypes];

const seedBytes = 32;
const signatureBytes = 64;
const timeBytes = 8;
const signaturesMax = 64;
const noteCharsMax = 1 << 20;
/** What comes before the 32 bytes in DER (RFC 8410). */
const privateDer = Buffer.from('302e020100300506032b657004220420', 'hex');
const publicDer = Buffer.from('302a300506032b6570032100', 'hex');

/** `vkey` is how a public key is written: `name+id+base64(type || key)`. */
export type Verifier = {
  readonly name: string;
  /** Eight hexadecimal digits. */
  readonly id: string;
  readonly type: KeyType;
  readonly vkey: string;
  readonly key: KeyObject;
};

/** `skey` is how the private key is written: `PRIVATE+KEY+name+id+base64(type || seed)`. It stays in its file. */
export type Signer = Verifier & { readonly skey: string; readonly privateKey: KeyObject };

export type SignatureLine = { readonly name: string; readonly id: string; readonly bytes: Buffer };
export type Note = { readonly text: string; readonly signatures: readonly SignatureLine[] };

/** What is no note or no key, with the reason. */
export class NoteError extends Error {
  override readonly name = 'NoteError';
}

/** Neither empty nor with a plus sign or a space: it has to stand in a line of a note. */
export const isKeyName = (name: string): boolean => /^[^\s\p{Z}+\p{Cc}]+$/u.test(name);

export function newSigner(name: string, type: KeyType = keyTypes.log): Signer {
  return signerOf(name, type, randomBytes(seedBytes));
}

function signerOf(name: string, type: KeyType, seed: Buffer): Signer {
  const privateKey = createPrivateKey({
    key: Buffer.concat([privateDer, seed]),
    format: 'der',
    type: 'pkcs8',
  });
  const raw = createPublicKey(privateKey).export({ format: 'der', type: 'spki' }).subarray(publicDer.length);
  const verifier = verifierOf(name, type, raw);
  const secret = Buffer.concat([Buffer.from([type]), seed]).toString('base64');
  return { ...verifier, skey: `PRIVATE+KEY+${name}+${verifier.id}+${secret}`, privateKey };
}

/** Reads what `skey` writes. */
export function readSigner(skey: string): Signer {
  const [, name, id, encoded] = /^PRIVATE\+KEY\+([^+]+)\+([0-9a-f]{8})\+(\S+)$/.exec(skey.trim()) ?? [];
  const bytes = encoded === undefined ? undefined : exactBase64(encoded);
  if (name === undefined || bytes?.length !== 1 + seedBytes) throw new NoteError('This is no private key');
  const signer = signerOf(name, typeOf(bytes[0]), bytes.subarray(1));
  if (signer.id !== id) throw new NoteError('The private key does not fit its id');
  return signer;
}

function verifierOf(name: string, type: KeyType, raw: Buffer): Verifier {
  if (!isKeyName(name)) throw new NoteError(`"${name}" can be no name of a key`);
  const typed = Buffer.concat([Buffer.from([type]), raw]);
  const id = hash('sha256', Buffer.concat([Buffer.from(`${name}\n`), typed]), 'hex').slice(0, 8);
  const key = createPublicKey({ key: Buffer.concat([publicDer, raw]), format: 'der', type: 'spki' });
  return { name, id, type, vkey: `${name}+${id}+${typed.toString('base64')}`, key };
}

/** Reads what `vkey` writes. */
export function readVerifier(vkey: string): Verifier {
  const [, name, id, encoded] = /^([^+]+)\+([0-9a-f]{8})\+(\S+)$/.exec(vkey.trim()) ?? [];
  const bytes = encoded === undefined ? undefined : exactBase64(encoded);
  if (name === undefined || bytes?.length !== 33)
    throw new NoteError('This is no public key: it is written as name+id+base64');
  const verifier = verifierOf(name, typeOf(bytes[0]), bytes.subarray(1));
  if (verifier.id !== id) throw new NoteError(`The public key does not fit its id ${id}`);
  return verifier;
}

function typeOf(byte: number | undefined): KeyType {
  const known = Object.values(keyTypes).find(type => type === byte);
  if (known === undefined) throw new NoteError(`There are no keys of type ${byte} here, only Ed25519`);
  return known;
}

function exactBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : undefined;
}

/** The note of a text, signed by each. The text ends in a newline. */
export function signNote(text: string, ...signers: readonly Signer[]): string {
  if (!text.endsWith('\n') || hasControl(text)) throw new NoteError('This can be no text of a note');
  const bytes = Buffer.from(text);
  const lines = signers.map(signer => signatureLine(signer, signBytes(null, bytes, signer.privateKey)));
  return `${text}\n${lines.join('')}`;
}

/** What a witness adds to a note: that it has seen the text at this time, in seconds since 1970. */
export function cosign(text: string, witness: Signer, seconds: number): string {
  const time = Buffer.alloc(timeBytes);
  time.writeBigUInt64BE(BigInt(seconds));
  const signature = signBytes(null, cosigned(text, BigInt(seconds)), witness.privateKey);
  return signatureLine(witness, Buffer.concat([time, signature]));
}

const cosigned = (text: string, seconds: bigint) => Buffer.from(`cosignature/v1\ntime ${seconds}\n${text}`);

function signatureLine({ name, id }: Verifier, signature: Buffer): string {
  return `— ${name} ${Buffer.concat([Buffer.from(id, 'hex'), signature]).toString('base64')}\n`;
}

const hasControl = (text: string) => /[^\n\u{20}-\u{10ffff}]/u.test(text) || !text.isWellFormed();

/** Takes a note apart. Nothing is said about its signatures yet. */
export function parseNote(note: string): Note {
  if (note.length > noteCharsMax || hasControl(note)) throw new NoteError('This is no note');
  const end = note.lastIndexOf('\n\n');
  if (end < 0 || !note.endsWith('\n')) throw new NoteError('This is no note: it has no signatures');
  return { text: note.slice(0, end + 1), signatures: parseSignatures(note.slice(end + 2)) };
}

/** Lines of signatures as they stand at the end of a note. */
export function parseSignatures(text: string): readonly SignatureLine[] {
  const lines = text.split('\n').slice(0, -1);
  if (lines.length === 0 || lines.length > signaturesMax || !text.endsWith('\n'))
    throw new NoteError(`A note has 1 to ${signaturesMax} signatures`);
  return lines.map(line => {
    const [, name, encoded] = /^— (\S+) (\S+)$/.exec(line) ?? [];
    const bytes = encoded === undefined ? undefined : exactBase64(encoded);
    if (name === undefined || bytes === undefined || bytes.length < 5 || !isKeyName(name))
      throw new NoteError('This is no note: a line of a signature is broken');
    return { name, id: bytes.toString('hex', 0, 4), bytes: bytes.subarray(4) };
  });
}

/** `at`: when a witness signed, in seconds since 1970; null for a log. */
export type Verified = { readonly by: Verifier; readonly at: number | null };

/**
 * Those of the known keys that have signed. Signatures of others are passed over; a known key whose signature is wrong makes
 * the whole note wrong, and is thrown.
 */
export function verifyNote({ text, signatures }: Note, known: readonly Verifier[]): readonly Verified[] {
  return signatures.flatMap(({ name, id, bytes }) => {
    const by = known.find(verifier => verifier.name === name && verifier.id === id);
    if (by === undefined) return [];
    const isWitness = by.type === keyTypes.witness;
    const right = isWitness ? timeBytes + signatureBytes : signatureBytes;
    const seconds = isWitness && bytes.length === right ? bytes.readBigUInt64BE(0) : 0n;
    const message = isWitness ? cosigned(text, seconds) : Buffer.from(text);
    const signature = isWitness ? bytes.subarray(timeBytes) : bytes;
    if (bytes.length !== right || !verifyBytes(null, message, by.key, signature))
      throw new NoteError(`The signature of ${name} (${id}) is wrong`);
    return [{ by, at: isWitness ? Number(seconds) : null }];
  });
}
