/** Images of builds: which are there, what they take, when they were used, and why others went. */
import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox';
import type { Knex } from 'knex';
import { appIdPattern } from '../../domain/kernel/limits.ts';
import { cursorOf, placeOf, querySum, timeValue } from '../cursor.ts';
import { After, type Freshness } from '../fresh.ts';
import { whyFullDisk } from '../machine.ts';
import { within } from '../reach.ts';
import { Count, limitOf, nullable, Paging, Text, Time } from '../shapes.ts';

const config = { scope: 'apps:read' } as const;
const over = ['stopped', 'expired', 'failed'];

const Place = Type.Union(['present', 'removing', 'removed'].map(one => Type.Literal(one)));

const Image = Type.Object({
  buildId: Text,
  appId: Text,
  image: Text,
  imageId: Text,
  bytes: Count,
  place: Place,
  /** Why it goes or went. */
  reason: nullable(Text),
  /** What its app is launched with, or what a launch needs that is not over: it stays. */
  isReleased: Type.Boolean(),
  isUsed: Type.Boolean(),
  builtAt: Time,
  usedAt: nullable(Time),
  changedAt: Time,
});

type Row = { build_id: string; built_at: string } & Readonly<Record<string, unknown>>;

export function imageReads(deps: { sql: Knex; fresh: Freshness }): FastifyPluginAsyncTypebox {
  const { sql, fresh } = deps;
  return async app => {
    app.addHook('preHandler', fresh.check);
    app.get(
      '/images',
      {
        config,
        schema: {
          tags: ['builds'],
          summary: 'Images of builds, the newest first; with why others were removed',
          querystring: Type.Object({
            ...After,
            ...Paging,
            app: Type.Optional(Type.String({ pattern: appIdPattern })),
            place: Type.Optional(Place),
          }),
          response: {
            200: Type.Object({
              data: Type.Array(Image),
              meta: Type.Object({
                nextCursor: nullable(Text),
                /** Of all that are there, layers that they share included each time; and why there is no room for more. */
                bytes: Count,
                full: nullable(Text),
              }),
            }),
          },
        },
      },
      async request => {
        const { query, identity } = request;
        const limit = limitOf(query);
        const sum = querySum(['apps_images', query.app, query.place]);
        const place = query.cursor === undefined ? undefined : placeOf(query.cursor, sum, timeValue);
        const reached = () => {
          const found = sql('apps_images as i');
          if (query.app !== undefined) found.where({ 'i.app_id': query.app });
          if (identity.apps !== null) {
            const { where, bind } = within(identity.apps);
            found.whereRaw(where.replaceAll('app_id', 'i.app_id'), bind as never);
          }
          return found;
        };
        const found = reached()
          .leftJoin('apps_repositories as r', 'r.app_id', 'i.app_id')
          .orderBy([
            { column: 'i.built_at', order: 'desc' },
            { column: 'i.build_id', order: 'desc' },
          ])
          .limit(limit + 1)
          .select('i.*', sql.raw("coalesce(r.release->>'buildId' = i.build_id, false) as is_released"))
          .select(sql.raw('exists ? as is_used', [usersOf(sql)]));
        if (query.place !== undefined) found.where({ 'i.place': query.place });
        if (place !== undefined)
          found.whereRaw('(i.built_at, i.build_id) < (?::timestamptz, ?)', [place.value, place.id]);
        const rows = (await found) as Row[];
        const last = rows.length > limit ? rows[limit - 1] : undefined;
        const nextCursor =
          last === undefined ? null : cursorOf({ tier: 0, value: last.built_at, id: last.build_id }, sum);
        const total = await reached().where('i.place', '<>', 'removed').sum('i.bytes as bytes').first();
        const bytes = Number(total?.bytes ?? 0);
        return {
          data: rows.slice(0, limit).map(imageOf),
          meta: { nextCursor, bytes, full: await whyFullDisk(sql) },
        };
      },
    );
  };
}

/** Launches that need the image of the row around them. */
function usersOf(sql: Knex): Knex.QueryBuilder {
  return (
    sql
      .select(sql.raw('1'))
      .from('apps_launches as l')
      .leftJoin('apps_deployments as d', 'd.launch_id', 'l.launch_id')
      .whereNotIn('l.status', over)
      // Which is so anyway, and has an index.
      .whereRaw('l.app_id = i.app_id')
      .where(either =>
        either
          .whereRaw('l.build_id = i.build_id')
          .orWhere(other =>
            other.whereRaw('d.build_id = i.build_id').whereIn('d.status', ['coming', 'serving', 'retiring']),
          ),
      )
  );
}

function imageOf(row: Row) {
  return {
    buildId: row.build_id,
    appId: row.app_id,
    image: row.image,
    imageId: row.image_id,
    bytes: row.bytes,
    place: row.place,
    reason: row.reason,
    isReleased: row.is_released,
    isUsed: row.is_used,
    builtAt: row.built_at,
    usedAt: row.used_at,
    changedAt: row.changed_at,
  } as never;
}
