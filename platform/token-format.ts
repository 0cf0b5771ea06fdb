/**
 * How keys and the cookies of sessions look. A key is `aph_`, its id, its secret and a checksum in letters and digits, so that a
 * double click takes all of it, a scanner knows it by its beginning, and one that was mistyped is told from a wrong one
 * without asking anybody (as GitHub's tokens, 2021).
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { crc32 } from 'node:zlib';

const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const prefix = 'aph_';
const idChars = 22;
const secretBytes = 32;
const secretChars = 43;
const checksumChars = 6;
const hintChars = 4;
const keyPattern = new RegExp(`^${prefix}[0-9A-Za-z]{${idChars + secretChars + checksumChars}}$`);
const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

export const sha256Of = (text: string): string => createHash('sha256').update(text).digest('hex');

/** Whether the digest of the text is among these; looks at all of them, whichever it is. */
export function isAmongDigests(digests: readonly string[], text: string): boolean {
  const own = Buffer.from(sha256Of(text));
  let found = false;
  for (const digest of digests) {
    const one = Buffer.from(digest);
    if (one.length === own.length && timingSafeEqual(one, own)) found = true;
  }
  return found;
}

export type MadeToken = { readonly token: string; readonly sha256: string; readonly hint: string };

/** A new key for this id, a UUID. The token itself is to be shown once and kept nowhere. */
export function makeApiKey(keyId: string): MadeToken {
  const body =
    encode(Buffer.from(keyId.replaceAll('-', ''), 'hex'), idChars) +
    encode(randomBytes(secretBytes), secretChars);
  const token = `${prefix}${body}${checksumOf(body)}`;
  return { token, sha256: sha256Of(token), hint: body.slice(-hintChars) };
}

/** The id of the key that this is, if it is whole. */
export function readApiKey(token: string): { readonly keyId: string } | undefined {
  if (!keyPattern.test(token)) return undefined;
  const body = token.slice(prefix.length, -checksumChars);
  if (checksumOf(body) !== token.slice(-checksumChars)) return undefined;
  const hex = decode(body.slice(0, idChars)).toString(16).padStart(32, '0');
  if (hex.length > 32) return undefined;
  return { keyId: hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5') };
}

export const looksLikeApiKey = (token: string): boolean => token.startsWith(prefix);

/** What the cookie of a session holds: its id, and a secret of 256 bits. */
export function makeSessionToken(sessionId: string): MadeToken {
  const token = `${sessionId}.${randomBytes(secretBytes).toString('base64url')}`;
  return { token, sha256: sha256Of(token), hint: '' };
}

export function readSessionToken(token: string): { readonly sessionId: string } | undefined {
  const [sessionId = '', secret = '', ...rest] = token.split('.');
  const isWhole = uuidPattern.test(sessionId) && /^[\w-]{43}$/.test(secret) && rest.length === 0;
  return isWhole ? { sessionId } : undefined;
}

const checksumOf = (body: string): string => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(crc32(body));
  return encode(bytes, checksumChars);
};

function encode(bytes: Buffer, chars: number): string {
  let left = BigInt(`0x${bytes.toString('hex')}`);
  let text = '';
  for (let at = 0; at < chars; at += 1, left /= 62n) text = `${alphabet[Number(left % 62n)]}${text}`;
  return text;
}

function decode(text: string): bigint {
  let number = 0n;
  for (const char of text) number = number * 62n + BigInt(alphabet.indexOf(char));
  return number;
}
