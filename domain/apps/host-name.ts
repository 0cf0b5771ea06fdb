/**
 * A host name of somebody's own that leads to an app. It belongs to one app at a time, whoever claims it first; which launch
 * of the app it shows is chosen, or is the newest one that runs. The name is the aggregate, so no two can claim it.
 *
 *   free ──► claimed ──► free
 */
import { type Decider, unreachable } from '../kernel/decider.ts';
import { Refusal } from '../kernel/refusal.ts';

/** `launchId`: the only launch it shows; null: the newest that runs. */
type OfHost = { host: string; appId: string; at: string };

export type HostNameEvent =
  | { type: 'HostNameClaimed'; data: OfHost & { launchId: string | null } }
  | { type: 'HostNameAimed'; data: OfHost & { launchId: string | null } }
  | { type: 'HostNameReleased'; data: OfHost };

export type HostNameCommand =
  | { type: 'ClaimHostName'; data: OfHost & { launchId: string | null } }
  | { type: 'ReleaseHostName'; data: OfHost };

export type HostNameState = { readonly appId: string | null; readonly launchId: string | null };

export const hostName: Decider<HostNameState, HostNameCommand, HostNameEvent> = {
  category: 'apps.host-name',
  initialState: { appId: null, launchId: null },

  evolve(state, event) {
    switch (event.type) {
      case 'HostNameClaimed':
      case 'HostNameAimed':
        return { appId: event.data.appId, launchId: event.data.launchId };
      case 'HostNameReleased':
        return { appId: null, launchId: null };
      default:
        return unreachable(event) ?? state;
    }
  },

  decide(command, state) {
    const { host, appId } = command.data;
    switch (command.type) {
      case 'ClaimHostName':
        if (state.appId === null) return [{ type: 'HostNameClaimed', data: command.data }];
        // Whose it is is nobody else's business.
        if (state.appId !== appId) throw new Refusal('host-name/taken', { host });
        return state.launchId === command.data.launchId
          ? []
          : [{ type: 'HostNameAimed', data: command.data }];
      case 'ReleaseHostName':
        if (state.appId === null) return [];
        if (state.appId !== appId) throw new Refusal('not-found', { host });
        return [{ type: 'HostNameReleased', data: command.data }];
      default:
        return unreachable(command);
    }
  },
};

const label = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const nameCharsMax = 253;
const labelsMin = 2;

/** What a claimed name may not be, or be below. */
export type HostNameRules = {
  /** The names by which the platform itself is reached. */
  readonly platformHosts: readonly string[];
  /** Every name below it is a launch's already. */
  readonly previewDomain: string;
};

/** The name as a Host field has it (IDNA, as browsers do it), or what would be right. */
export function readHostName(
  text: string,
  { platformHosts, previewDomain }: HostNameRules,
): { readonly host: string } | { readonly wrong: string } {
  const wrong = 'must be a host name such as shop.example.org, without a scheme, a port or a path';
  const plain = text.trim().replace(/\.$/, '');
  if (plain === '' || /[\s/?#@:\\[\]%*_]/.test(plain)) return { wrong };
  const host = URL.parse(`http://${plain}/`)?.hostname;
  if (host === undefined || host.length > nameCharsMax) return { wrong };
  const labels = host.split('.');
  if (labels.length < labelsMin || !labels.every(one => label.test(one))) return { wrong };
  // Whatever the parser takes for an IPv4 address ends in a number.
  if (/^\d+$/.test(labels.at(-1) ?? '')) return { wrong: 'must be a name, not an address' };
  const isBelow = (name: string) => host === name || host.endsWith(`.${name}`);
  if (isBelow('localhost') || isBelow(previewDomain)) {
    return { wrong: 'must not be below the domain of launches, where each name is taken' };
  }
  if (platformHosts.includes(host)) return { wrong: 'must not be the name of the platform itself' };
  return { host };
}
