/** GET /audit/receipt: one event with what proves it, for whoever may read it. */
import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox';
import type { Knex } from 'knex';
import type { StoredEvent, StoredLog } from '../../eventstore/store.ts';
import { invalid, Problem } from '../../platform/problem.ts';
import { leafOf } from '../../platform/proof/leaf.ts';
import { answerOf } from '../../platform/proof/receipt-file.ts';
import type { Receipts } from '../../platform/proof/receipts.ts';
import { treeReader } from '../../platform/proof/tree-reader.ts';
import { Count, oneOf, Position, Text } from '../shapes.ts';
import { maySee } from './filter.ts';

const waitMsMax = 2_000;

export type ReceiptDeps = { readonly sql: Knex; readonly stored: StoredLog; readonly receipts: Receipts };

const Query = Type.Object({
  position: Type.Optional(Type.String({ pattern: '^[0-9]{1,19}$', description: 'Of the event in the log' })),
  id: Type.Optional(Type.String({ format: 'uuid', description: 'Of the event' })),
});
const Receipt = Type.Object({
  index: Count,
  position: Position,
  leafHash: Text,
  size: Count,
  proof: Type.Array(Text),
  checkpoint: Text,
  leaf: Type.String({ description: 'The event, as its bytes were hashed' }),
});

export function receiptReads({ sql, stored, receipts }: ReceiptDeps): FastifyPluginAsyncTypebox {
  const reader = treeReader(sql);
  const positionOf = async ({ position, id }: { position?: string; id?: string }): Promise<bigint> => {
    if ((position === undefined) === (id === undefined))
      throw invalid([{ field: 'position', message: 'or id: one of them' }]);
    if (position !== undefined) return BigInt(position);
    const state = await reader.state();
    const index = state && (await reader.indexOfId(state, id ?? ''));
    if (state === undefined || index === undefined) throw notFound();
    return reader.positionOf(state, index);
  };
  return async app => {
    app.get(
      '/audit/receipt',
      {
        config: { scope: 'identified' },
        schema: {
          tags: ['audit'],
          summary: 'An event, and what proves it to whoever has the public key',
          querystring: Query,
          response: { 200: oneOf(Receipt) },
        },
      },
      async ({ query, identity }) => {
        const position = await positionOf(query);
        const event = await stored.at(position);
        // What somebody may not see is not told from what there is not.
        if (event === undefined || !maySee(identity, asRead(event))) throw notFound();
        const receipt = await receipts.of(position, waitMsMax);
        if (receipt === undefined)
          throw new Problem(
            503,
            'behind',
            'The tree has not come so far, or nothing has been signed; ask again',
          );
        return { data: { ...answerOf(receipt), leaf: leafOf(event) } };
      },
    );
  };
}

const notFound = () => new Problem(404, 'not-found', 'There is no such event');

/** Content that is no JSON says nothing of an app. */
const asRead = ({ stream, data }: StoredEvent) => ({
  stream,
  data: (typeof data === 'object' && data !== null && !(data instanceof Uint8Array) ? data : {}) as never,
});
