/**
 * A Git host tells that somebody has pushed. GitHub's form (and that of Gitea and Forgejo): the body's HMAC-SHA-256 in
 * `X-Hub-Signature-256`, the kind of event in `X-GitHub-Event`, a delivery number that stays the same when it is sent again.
 * Each app has a secret of its own, derived from the platform's, so that nothing has to be stored and one leak is one app's.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox';
import { ingestion } from '../../domain/apps/ingestion.ts';
import type { Metadata } from '../../domain/events.ts';
import { appIdPattern } from '../../domain/kernel/limits.ts';
import type { EventStore } from '../../eventstore/store.ts';
import { invalid, Problem } from '../../platform/problem.ts';
import type { Clock } from '../clock.ts';
import { deriveId } from '../derive-id.ts';
import { execute } from '../execute.ts';
import { originOf } from '../request.ts';
import { presentApp } from './present-app.ts';

const bodyBytesMax = 1 << 20;
const params = Type.Object({ appId: Type.String({ pattern: appIdPattern }) });

const Heard = Type.Object({
  data: Type.Object({
    id: Type.String(),
    position: Type.Union([Type.String(), Type.Null()]),
    /** Why nothing was done, where nothing was. */
    ignored: Type.Union([Type.String(), Type.Null()]),
  }),
});

/** The secret to enter at the Git host, 64 hexadecimal characters. */
export function webhookSecretOf(platformSecret: string, appId: string): string {
  return createHmac('sha256', platformSecret).update(`git webhook of ${appId}`).digest('hex');
}

export type WebhookDeps = { store: EventStore; clock: Clock; webhookSecret: string };

export function webhookCommands(deps: WebhookDeps): FastifyPluginAsyncTypebox {
  return async app => {
    // The signature is over the bytes as they were sent, so nobody may parse them first.
    app.removeAllContentTypeParsers();
    app.addContentTypeParser('*', { parseAs: 'buffer', bodyLimit: bodyBytesMax }, (_request, body, done) =>
      done(null, body),
    );

    app.post(
      '/webhooks/git/:appId',
      {
        config: { scope: 'public' },
        schema: {
          tags: ['ingestions'],
          summary: 'A Git host reports a push; signed with the secret of the app',
          params,
          response: { 202: Heard },
        },
      },
      async (request, reply) => {
        const { appId } = request.params;
        const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
        if (
          !isSigned(body, webhookSecretOf(deps.webhookSecret, appId), request.headers['x-hub-signature-256'])
        ) {
          throw new Problem(401, 'unauthorized', 'The signature is not right for this app', {
            detail: 'X-Hub-Signature-256 must be sha256= and the HMAC-SHA-256 of the body in hexadecimal.',
          });
        }
        const push = pushOf(request.headers['x-github-event'], body);
        const delivery = request.headers['x-github-delivery'];
        const causationId = deriveId('webhook', appId, typeof delivery === 'string' ? delivery : request.id);
        const { position, ignored } = await hear(deps, appId, push, {
          causationId,
          request: originOf(request),
        });
        return reply.code(202).send({ data: { id: appId, position: position?.toString() ?? null, ignored } });
      },
    );

    app.get(
      '/webhooks/git/:appId',
      {
        config: { scope: 'apps:write' },
        schema: {
          tags: ['ingestions'],
          summary: 'What to enter at the Git host: path, content type and secret',
          params,
          response: {
            200: Type.Object({
              data: Type.Object({ path: Type.String(), contentType: Type.String(), secret: Type.String() }),
            }),
          },
        },
      },
      async request => {
        const { appId } = request.params;
        await presentApp(deps.store, appId);
        const secret = webhookSecretOf(deps.webhookSecret, appId);
        return { data: { path: `/webhooks/git/${appId}`, contentType: 'application/json', secret } };
      },
    );
  };
}

/** Queues an ingestion for a push the app follows. `ignored` says why nothing was done. */
async function hear(
  { store, clock }: WebhookDeps,
  appId: string,
  push: Push | undefined,
  { causationId, request }: Pick<Metadata, 'causationId' | 'request'>,
): Promise<{ position: bigint | null; ignored: string | null }> {
  const { description } = await presentApp(store, appId);
  if (push === undefined) return { position: null, ignored: 'not a push to a branch' };
  const ignored = whyIgnored(push, description.ref);
  if (ignored !== null) return { position: null, ignored };
  const time = clock.now();
  const metadata = {
    actor: 'webhook:git',
    correlationId: causationId,
    causationId,
    time,
    ...(request && { request }),
  };
  const data = { appId, cause: 'webhook', at: time, unlessCommit: push.after } as const;
  const command = { type: 'QueueIngestion', data } as const;
  const { position, changed } = await execute(store, ingestion, appId, command, metadata, { once: true });
  return { position, ignored: changed ? null : 'this commit is known, or an ingestion is due anyway' };
}

function isSigned(body: Buffer, secret: string, signature: unknown): boolean {
  const right = Buffer.from(`sha256=${createHmac('sha256', secret).update(body).digest('hex')}`);
  const given = Buffer.from(typeof signature === 'string' ? signature : '');
  return given.length === right.length && timingSafeEqual(given, right);
}

type Push = { branch: string; isDefault: boolean; after: string };

/** A push to a branch that still exists afterwards; undefined for everything else. */
function pushOf(event: unknown, body: Buffer): Push | undefined {
  if (event !== 'push') return undefined;
  let payload: {
    ref?: unknown;
    after?: unknown;
    deleted?: unknown;
    repository?: { default_branch?: unknown };
  };
  try {
    payload = JSON.parse(body.toString('utf8')) ?? {};
  } catch {
    const message = 'must be JSON: choose the content type application/json at the Git host';
    throw invalid([{ field: 'body', message }]);
  }
  const { ref, after, deleted } = payload;
  if (typeof ref !== 'string' || typeof after !== 'string') return undefined;
  const branch = /^refs\/heads\/(.+)$/.exec(ref)?.[1];
  if (branch === undefined || deleted === true || !/^[0-9a-f]{40}$/.test(after)) return undefined;
  return { branch, after, isDefault: payload.repository?.default_branch === branch };
}

/** An app follows the ref it was registered with, else the default branch. */
function whyIgnored({ branch, isDefault }: Push, ref: string | null): string | null {
  if (ref === null) return isDefault ? null : `${branch} is not the default branch`;
  return branch === ref.replace(/^refs\/heads\//, '') ? null : `the app follows ${ref}, not ${branch}`;
}
