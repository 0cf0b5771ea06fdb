/** What can be looked back at: from when to when, and what lies just before and behind a moment. */
import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox';
import type { Knex } from 'knex';
import type { Moment as AMoment, AsOf } from '../as-of.ts';
import { AfterOnly, AsOfText, type Freshness } from '../fresh.ts';
import { nullable, oneOf, Position, Time } from '../shapes.ts';

const Moment = Type.Object({ position: Position, at: Time });

const Past = Type.Object({
  first: nullable(Moment),
  last: nullable(Moment),
  /** Up to where it can be read, and up to where the tables of now hold the log. */
  reached: nullable(Position),
  live: nullable(Position),
  /** Of the moment that was asked for: itself, and its neighbours. */
  here: nullable(Type.Object({ position: Type.String(), at: nullable(Time) })),
  previous: nullable(Moment),
  next: nullable(Moment),
});

export type PastDeps = { past: Knex | undefined; fresh: Freshness; asOf: Pick<AsOf, 'resolve'> };

export function pastReads({ past, fresh, asOf }: PastDeps): FastifyPluginAsyncTypebox {
  return async app => {
    app.addHook('preHandler', fresh.check);
    app.get(
      '/past',
      {
        config: { scope: 'apps:read', nowOnly: 'Name the moment with `around`.' },
        schema: {
          tags: ['platform'],
          summary: 'Which times can be asked for with asOf, and the neighbours of one',
          querystring: Type.Object({ ...AfterOnly, around: Type.Optional(AsOfText) }),
          response: { 200: oneOf(Past) },
        },
      },
      async ({ query: { around } }) => {
        const here = around === undefined ? null : await asOf.resolve(around);
        const live = await fresh.reached();
        const none = { first: null, last: null, reached: null, previous: null, next: null };
        const found = past === undefined ? none : await lookAround(past, here);
        return {
          data: {
            ...found,
            live: live === null ? null : String(live),
            here: here && { position: String(here.position), at: here.at },
          },
        };
      },
    );
  };
}

/** Costs a few looks into an index. Nothing where nothing has been kept yet. */
async function lookAround(past: Knex, here: AMoment | null) {
  const one = async (order: 'asc' | 'desc', sign?: '<' | '>') => {
    const query = past('past_moments').orderBy('past_moments.position', order);
    if (sign !== undefined) query.where('position', sign, String(here?.position));
    const row = await query.first('at', past.raw('position::text as place'));
    return row === undefined ? null : { position: String(row.place), at: String(row.at) };
  };
  const isThere = (await past.schema.hasTable('past_moments')) === true;
  if (!isThere) return { first: null, last: null, reached: null, previous: null, next: null };
  const row = await past('past_checkpoints').first(past.raw('min(coalesce(position, -1))::text as position'));
  const isNear = here !== null;
  return {
    first: await one('asc'),
    last: await one('desc'),
    reached: row?.position == null || row.position === '-1' ? null : String(row.position),
    previous: isNear ? await one('desc', '<') : null,
    next: isNear ? await one('asc', '>') : null,
  };
}
