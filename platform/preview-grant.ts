/**
 * What lets a visitor into a private launch: a word signed by the platform (HMAC-SHA-256, RFC 2104) that says which launch,
 * until when, and under which number of its links. Nothing is kept about it anywhere: to raise that number ends all that were
 * made before. It says nothing of whom it was made for, as scripts of the app can read the address of their own page.
 */
import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';

const prefix = 'apg1';
const purpose = 'preview grant';
const keyBytes = 32;
const tokenCharsMax = 256;
/** Everything but the signature; each text has one reading and each reading one text. */
const form =
  /^apg1\.([ls])\.([a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)\.([1-9]\d{0,11})\.(0|[1-9]\d{0,8})\.([a-z0-9-]{0,36})\.([\w-]{43})$/;

export type Grant = {
  readonly launchId: string;
  /** Of a link that somebody passed on, or of somebody who is signed in at the platform. */
  readonly kind: 'link' | 'session';
  readonly expiresAtSeconds: number;
  readonly linkEpoch: number;
  /** Of the link, as it is in the log; '' for a session. */
  readonly linkId: string;
};

export type Grants = {
  make(grant: Grant): string;
  /** What was signed here, whether it is still good or not; undefined for what never was. */
  read(token: string): Grant | undefined;
};

/** The first secret signs; what was signed by one of the others is good as well, so that they can be replaced. */
export function openGrants(secrets: readonly string[]): Grants {
  const keys = secrets.map(secret => Buffer.from(hkdfSync('sha256', secret, '', purpose, keyBytes)));
  const [own] = keys;
  if (own === undefined) throw new Error('grants need a secret');
  return {
    make({ launchId, kind, expiresAtSeconds, linkEpoch, linkId }) {
      const text = [prefix, kind[0], launchId, expiresAtSeconds, linkEpoch, linkId].join('.');
      const token = `${text}.${signatureOf(own, text)}`;
      if (!form.test(token)) throw new Error('this cannot be said in a grant');
      return token;
    },
    read(token) {
      if (token.length > tokenCharsMax) return undefined;
      const found = form.exec(token);
      if (found === null) return undefined;
      const [, kind, launchId = '', expires, epoch, linkId = '', signature = ''] = found;
      if (!isSigned(keys, token.slice(0, -signature.length - 1), signature)) return undefined;
      return {
        launchId,
        kind: kind === 'l' ? 'link' : 'session',
        expiresAtSeconds: Number(expires),
        linkEpoch: Number(epoch),
        linkId,
      };
    },
  };
}

const signatureOf = (key: Buffer, text: string): string =>
  createHmac('sha256', key).update(text).digest('base64url');

/** Compared as text: the last letter of a signature has bits that say nothing, and other letters would pass for it. */
function isSigned(keys: readonly Buffer[], text: string, signature: string): boolean {
  const given = Buffer.from(signature);
  let found = false;
  for (const key of keys) if (timingSafeEqual(Buffer.from(signatureOf(key, text)), given)) found = true;
  return found;
}

/** Why it does not open this launch now; '' where it does. */
export type WhyNot = '' | 'foreign' | 'expired' | 'revoked';

export function whyNot(
  grant: Grant,
  launch: { readonly launchId: string; readonly linkEpoch: number },
  nowMs: number,
): WhyNot {
  if (grant.launchId !== launch.launchId) return 'foreign';
  // A greater number was read in the log, which is ahead of what this process knows of the launch.
  if (grant.linkEpoch < launch.linkEpoch) return 'revoked';
  return grant.expiresAtSeconds * 1_000 <= nowMs ? 'expired' : '';
}

/** Whether it may be one, for what must not pass one on. */
export const looksLikeGrant = (text: string): boolean => text.startsWith(`${prefix}.`);
