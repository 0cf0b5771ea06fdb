/** The OpenAPI document of every route, whichever process serves it. */

import { systemClock } from '../commands/clock.ts';
import { registerCommands } from '../commands/index.ts';
import { memoryStore } from '../eventstore/memory.ts';
import { openBuildSecrets } from '../platform/build-secrets.ts';
import { httpServer } from '../platform/http.ts';
import { openLogStore } from '../platform/log-store.ts';
import { registerMetrics } from '../platform/metrics.ts';
import { openFolderObjects } from '../platform/objects.ts';
import { knownOperators } from '../platform/operators.ts';
import { openPostgres } from '../platform/postgres.ts';
import { previewAddresses } from '../platform/preview-address.ts';
import { openGrants } from '../platform/preview-grant.ts';
import { openInvites } from '../platform/preview-invite.ts';
import { answerReceipts } from '../platform/receipt-answers.ts';
import { readSandbox } from '../platform/sandbox-config.ts';
import { readUsage } from '../platform/usage-config.ts';
import { readWorkspaces } from '../platform/workspace-config.ts';
import { registerReads } from '../read-api/index.ts';

const invites = openInvites({
  grants: openGrants(['']),
  addresses: previewAddresses({ domain: 'localhost', port: 80, publicUrl: 'http://localhost' }),
  now: systemClock.now,
});
const nobody = { identify: async () => undefined };

/** Registers the routes on a server that never listens; nothing they would lean on is touched. */
export async function describeApi(version: string): Promise<object> {
  const store = memoryStore();
  const app = await httpServer({ logger: undefined, credentials: nobody, version });
  const sql = openPostgres('postgres://nobody@localhost/nothing');
  await registerMetrics(app);
  answerReceipts(app, undefined);
  await registerCommands(app, {
    store,
    clock: systemClock,
    allowLocalRepositories: false,
    projectionNames: [],
    launchIdleSeconds: null,
    workspaces: readWorkspaces({}),
    webhookSecret: '',
    invites,
    hostNameRules: { platformHosts: [], previewDomain: 'localhost' },
    buildSecrets: openBuildSecrets(sql, ''),
    signInOperators: knownOperators([]),
    sessionTimes: { idleSeconds: 0, absoluteSeconds: 0 },
    tokenSignIn: true,
    credentials: nobody,
    oidc: undefined,
    onRefused: () => undefined,
  });
  await registerReads(app, {
    sql,
    store,
    stored: store,
    past: undefined,
    blame: () => [],
    fresh: {
      waitFor: async () => undefined,
      check: async () => undefined,
      reached: async () => null,
      close: async () => undefined,
    },
    lags: { now: async () => [], lately: async () => [] },
    alerts: { lagSeconds: 0, lagEvents: 0, deadLetters: 0 },
    receipts: { of: async () => undefined, head: async () => undefined, close: async () => undefined },
    logs: openLogStore('.'),
    objects: openFolderObjects('.'),
    previewUrl: launchId => launchId,
    invites,
    hostUrl: host => host,
    previewDomain: 'localhost',
    containerLogs: async function* () {},
    pingRedis: undefined,
    previewOrigins: '',
    signIn: { oidc: null, token: true },
    usage: readUsage({}),
    launch: { profiles: readSandbox({}).profiles, idleSeconds: null },
  });
  await app.ready();
  const description = app.swagger();
  await app.close();
  await sql.destroy();
  return description;
}
