/** Addresses that let their visitors in: for whoever is signed in now, or as a link to pass on. */
import { grantParameter } from './preview-access.ts';
import type { PreviewAddresses } from './preview-address.ts';
import type { Grants } from './preview-grant.ts';

/** A page gets a new one before it ends; what was signed for somebody who may no longer come in is good for so long at most. */
const sessionSeconds = 15 * 60;

export type Invited = {
  readonly launchId: string;
  readonly access: 'private' | 'public';
  readonly linkEpoch: number;
};

export type Invites = {
  /**
   * For somebody who may see the launch, at a path of it or on a host name of its app. `renewal`: takes the place of one that
   * is about to end, without a look at the app. Where everybody may see it there is nothing to let in with, and null for its
   * end.
   */
  session(
    launch: Invited,
    at?: { readonly path?: string | undefined; readonly host?: string | undefined },
  ): { readonly url: string; readonly expiresAt: string | null };
  /** For whoever gets it from somebody. */
  link(launch: Invited, link: { readonly linkId: string; readonly expiresAt: string }): string;
};

export function openInvites(options: {
  readonly grants: Grants;
  readonly addresses: PreviewAddresses;
  readonly now: () => string;
}): Invites {
  const { grants, addresses, now } = options;
  return {
    session({ launchId, access, linkEpoch }, { path = '/', host } = {}) {
      const origin = host === undefined ? addresses.originOf(launchId) : addresses.originOfHost(host);
      if (access === 'public') return { url: origin + path, expiresAt: null };
      const expiresAtSeconds = Math.floor(Date.parse(now()) / 1_000) + sessionSeconds;
      const token = grants.make({ launchId, kind: 'session', expiresAtSeconds, linkEpoch, linkId: '' });
      return {
        url: origin + withGrant(path, token),
        expiresAt: new Date(expiresAtSeconds * 1_000).toISOString(),
      };
    },
    link({ launchId, linkEpoch }, { linkId, expiresAt }) {
      const expiresAtSeconds = Math.floor(Date.parse(expiresAt) / 1_000);
      const token = grants.make({ launchId, kind: 'link', expiresAtSeconds, linkEpoch, linkId });
      return addresses.originOf(launchId) + withGrant('/', token);
    },
  };
}

const withGrant = (path: string, token: string): string =>
  `${path}${path.includes('?') ? '&' : '?'}${grantParameter}=${token}`;
