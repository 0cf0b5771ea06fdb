/**
 * What every command route shares: who asked and why, in the words the log keeps. With an `Idempotency-Key` header
 * (draft-ietf-httpapi-idempotency-key-header) the same request sent twice is known by its cause, also after a restart:
 * the log itself remembers, there is no other store.
 */
import { Type } from '@fastify/type-provider-typebox';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Metadata, RequestOrigin } from '../domain/events.ts';
import { invalid } from '../platform/problem.ts';
import { userAgentOf } from '../platform/refused.ts';
import type { Clock } from './clock.ts';
import { deriveId } from './derive-id.ts';

const keyCharsMax = 255;

export type Cause = {
  readonly metadata: Metadata;
  /** For execute: whether the cause can come twice. */
  readonly once: false | 'by-key';
  /** A new aggregate's id; the same again for a repeated request. */
  newId(): string;
};

/** Reads the request's cause. Rejects a key that is empty or too long. */
export function causeOf(request: FastifyRequest, clock: Clock): Cause {
  const key = request.headers['idempotency-key'];
  const actor = request.identity.subject;
  const time = clock.now();
  const origin = originOf(request);
  if (key === undefined) {
    const metadata = { actor, correlationId: request.id, causationId: request.id, time, request: origin };
    return { metadata, once: false, newId: clock.newId };
  }
  if (typeof key !== 'string' || key === '' || key.length > keyCharsMax) {
    throw invalid([{ field: 'Idempotency-Key', message: `must have 1 to ${keyCharsMax} characters` }]);
  }
  const causationId = deriveId('idempotency', actor, key);
  const words = JSON.stringify(request.body ?? null);
  const correlationId = deriveId('request', causationId, request.method, request.url, words);
  return {
    metadata: { actor, correlationId, causationId, time, request: origin },
    once: 'by-key',
    newId: () => deriveId('aggregate', causationId),
  };
}

/** Rejects an Idempotency-Key where a request cannot be known again. */
export function refuseRepeatable({ headers }: FastifyRequest, why: string): void {
  if (headers['idempotency-key'] === undefined) return;
  throw invalid([{ field: 'Idempotency-Key', message: `cannot be used here: ${why}.` }]);
}

/** From where somebody asked, for the record. */
export function originOf(request: FastifyRequest): RequestOrigin {
  const { ip, method, headers, routeOptions } = request;
  return { ip, userAgent: userAgentOf(headers), route: `${method} ${routeOptions.url ?? ''}` };
}

/** Of routes that take everything they need from their address. An empty object says the same as nothing. */
export const NoBody = Type.Optional(Type.Object({}, { additionalProperties: false }));

export const Accepted = Type.Object({
  data: Type.Object({
    id: Type.String(),
    position: Type.Union([Type.String(), Type.Null()], {
      description: 'Where the change is in the log; give it to a read as ?after= to see it there.',
    }),
  }),
});

/** The answer to every write: what it was done to, and where in the log. */
export function accepted(
  reply: FastifyReply,
  id: string,
  position: bigint | null,
  location: string,
  status: 201 | 202 = 202,
) {
  return reply
    .code(status)
    .header('location', location)
    .send({ data: { id, position: position?.toString() ?? null } });
}
