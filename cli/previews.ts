/** Puts together what stands before running apps: where they are, who may visit them, and what is asked of them. */
import type { IncomingMessage } from 'node:http';

import { wakerOf } from '../commands/apps/deployment.ts';
import { systemClock } from '../commands/clock.ts';
import type { EventStore } from '../eventstore/store.ts';
import type { Config } from '../platform/config.ts';
import { listenTo } from '../platform/listen.ts';
import type { Log } from '../platform/log.ts';
import type { openPostgres } from '../platform/postgres.ts';
import { openActivity } from '../platform/preview-activity.ts';
import { previewAddresses, sharesSite } from '../platform/preview-address.ts';
import { PreviewCache } from '../platform/preview-cache.ts';
import { openGrants } from '../platform/preview-grant.ts';
import { openInvites } from '../platform/preview-invite.ts';
import { type PreviewProxy, previewProxy } from '../platform/preview-proxy.ts';
import { checkpointChannel } from '../projections/projector.ts';
import { targetsOf } from '../read-api/preview.ts';

type Parts = {
  readonly sql: ReturnType<typeof openPostgres>;
  readonly store: EventStore;
  readonly secrets: { readonly previewSecrets: readonly string[] };
  readonly isPlatformToken: (token: string) => boolean;
  readonly log: Log;
};

export type Previews = { readonly proxy: PreviewProxy; close(): Promise<void> };

export async function openPreviews(config: Config, parts: Parts): Promise<Previews> {
  const { sql, store, secrets, isPlatformToken, log } = parts;
  warn(config, log);
  const activity = await openActivity(sql, log);
  const finder = new PreviewCache(names => targetsOf(sql, names));
  const stopListening = await listenTo(config.databaseUrl ?? '', checkpointChannel, () =>
    finder.invalidate(),
  );
  const { bodyBytesMax, perLaunchMax, perVisitorMax } = config.previews;
  const proxy = previewProxy({
    domain: config.previewDomain,
    ownHosts: ownHostsOf(config),
    finder,
    grants: openGrants(secrets.previewSecrets),
    platformUrl: config.publicUrl,
    wake: wakerOf({ store, clock: systemClock }),
    activity,
    trustedProxies: config.trustedProxies,
    limits: { bodyBytesMax, perLaunchMax, perVisitorMax },
    isPlatformToken,
    log,
  });
  return {
    proxy,
    async close() {
      await proxy.close();
      await stopListening();
      await activity.close();
    },
  };
}

/** What works and is not safe for the public. */
function warn({ publicUrl, previewDomain: domain }: Config, log: Log): void {
  if (publicUrl === undefined || !sharesSite(publicUrl, domain)) return;
  const line = 'launches share a registrable domain with the page: an app can set cookies that the page gets';
  log.warn({ publicUrl, domain, see: 'docs/previews.md' }, line);
}

/** Names by which the platform itself is asked, whatever somebody claims. */
export const ownHostsOf = ({ publicUrl, host }: Config): readonly string[] => [
  'localhost',
  host.toLowerCase(),
  ...(publicUrl === undefined ? [] : [new URL(publicUrl).hostname]),
];

/** Whom a request is for, a launch or the platform. Not known at once where a host name may be somebody's own. */
export function atDoor(
  previews: Previews | undefined,
  request: IncomingMessage,
  open: (proxy: Previews['proxy'] | undefined) => void,
): void {
  const matched = previews?.proxy.matches(request) ?? false;
  if (matched instanceof Promise)
    void matched.then(isPreview => open(isPreview ? previews?.proxy : undefined));
  else open(matched ? previews?.proxy : undefined);
}

/** Addresses of launches, and those that let their visitors in. */
export function openInvitations(
  { previewDomain: domain, previewPort, port, publicUrl }: Config,
  { previewSecrets }: { readonly previewSecrets: readonly string[] },
) {
  const addresses = previewAddresses({
    domain,
    port: previewPort === 0 ? port : previewPort,
    publicUrl: publicUrl ?? 'http://localhost',
  });
  return {
    addresses,
    invites: openInvites({ grants: openGrants(previewSecrets), addresses, now: systemClock.now }),
  };
}
