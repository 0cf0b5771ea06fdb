import { createHash } from 'node:crypto';

/** The same parts always give the same UUID (version 8 of RFC 9562, from SHA-256): how a repeat is known as one. */
export function deriveId(...parts: readonly string[]): string {
  const hash = createHash('sha256').update(parts.join('\n')).digest();
  hash[6] = ((hash[6] ?? 0) & 0x0f) | 0x80;
  hash[8] = ((hash[8] ?? 0) & 0x3f) | 0x80;
  const hex = hash.toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)].join(
    '-',
  );
}

/** Of the quota of one owner, or of all launches together. An owner is whatever a provider or an operator calls somebody. */
export const quotaIdOf = (owner: string | null): string =>
  owner === null ? 'all' : deriveId('quota', owner);
