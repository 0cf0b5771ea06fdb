/** The words schemas of answers are made of. */
import type { Readable } from 'node:stream';
import { type TSchema, Type } from '@fastify/type-provider-typebox';

export const nullable = <T extends TSchema>(type: T) => Type.Union([type, Type.Null()]);
export const Text = Type.String();
export const Count = Type.Integer();
/** A body that is not JSON: sent as it is, described as text. */
export const PlainText = Type.Unsafe<string | Uint8Array | Readable>({ type: 'string' });
/** RFC 3339 in UTC. */
export const Time = Type.String({ format: 'date-time' });
export const Position = Type.String({ pattern: '^[0-9]+$' });

export const listOf = <T extends TSchema>(type: T) =>
  Type.Object({ data: Type.Array(type), meta: Type.Object({ nextCursor: nullable(Text) }) });
export const oneOf = <T extends TSchema>(type: T) => Type.Object({ data: type });

const limitMax = 200;
const limitDefault = 50;
const cursorCharsMax = 512;

export const Paging = {
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: limitMax, default: limitDefault })),
  cursor: Type.Optional(Type.String({ maxLength: cursorCharsMax, description: 'meta.nextCursor of a page' })),
};
export const limitOf = (query: { limit?: number }) => query.limit ?? limitDefault;
