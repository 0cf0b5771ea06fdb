/**
 * Receipts in the answers of commands. Who sends `Prefer: receipt` (RFC 7240) is answered when what he did is signed, with what
 * proves it beside `data`, and with `Preference-Applied: receipt`. What cannot be proved in time was done all the same, and is
 * answered without.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { answerOf } from './proof/receipt-file.ts';
import type { Receipts } from './proof/receipts.ts';

const text = { type: 'string' };
const hash = { type: 'string', description: '32 bytes in base64' };

const receiptSchema = {
  type: 'object',
  description: 'With Prefer: receipt. Proves by the public key alone that the event is in the log',
  required: ['index', 'position', 'leafHash', 'size', 'proof', 'checkpoint'],
  properties: {
    index: { type: 'integer' },
    position: text,
    leafHash: hash,
    size: { type: 'integer' },
    proof: { type: 'array', items: hash },
    checkpoint: { type: 'string', description: 'The signed note' },
  },
};

type Schema = { readonly properties?: Readonly<Record<string, Schema>> };

/** Whether an answer of this shape says where in the log something was written. */
const saysPosition = (schema: unknown) =>
  (schema as Schema | undefined)?.properties?.data?.properties?.position !== undefined;

/** Call before the commands are registered. Without receipts nobody waits for any. */
export function answerReceipts(app: FastifyInstance, receipts: Pick<Receipts, 'of'> | undefined): void {
  app.addHook('onRoute', route => {
    if (route.method === 'GET' || route.schema?.response === undefined) return;
    const answers = Object.entries(route.schema.response as Record<string, Schema>).map(
      ([status, schema]) =>
        [
          status,
          saysPosition(schema)
            ? { ...schema, properties: { ...schema.properties, receipt: receiptSchema } }
            : schema,
        ] as const,
    );
    route.schema = { ...route.schema, response: Object.fromEntries(answers) };
  });
  if (receipts === undefined) return;
  app.addHook('preSerialization', async (request, reply, payload) => {
    const position = wantsReceipt(request) ? positionIn(payload) : undefined;
    if (position === undefined) return payload;
    // Weather is no reason to answer that what was done was not.
    const receipt = await receipts.of(position).catch(() => undefined);
    if (receipt === undefined) return payload;
    reply.header('preference-applied', 'receipt');
    return { ...(payload as object), receipt: answerOf(receipt) };
  });
}

function wantsReceipt({ method, headers }: FastifyRequest): boolean {
  const { prefer } = headers;
  if (method === 'GET' || prefer === undefined) return false;
  const preferences = [prefer].flat().join(',').split(',');
  return preferences.some(one => one.split(/[;=]/)[0]?.trim().toLowerCase() === 'receipt');
}

function positionIn(payload: unknown): bigint | undefined {
  const { data } = (payload ?? {}) as { data?: { position?: unknown } | null };
  const position = data?.position;
  return typeof position === 'string' && /^\d{1,20}$/.test(position) ? BigInt(position) : undefined;
}
