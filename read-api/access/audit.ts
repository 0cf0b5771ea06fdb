/** GET /audit: who did what, and who was refused, newest first. */
import { type FastifyPluginAsyncTypebox, type Static, Type } from '@fastify/type-provider-typebox';
import type { Knex } from 'knex';
import type { Identity } from '../../platform/auth.ts';
import { type FieldError, invalid } from '../../platform/problem.ts';
import { edgeCodes, refusalCodes } from '../../platform/problem-codes.ts';
import { isRefusal } from '../../platform/refused.ts';
import { cursorOf, numberValue, placeOf, querySum, timeValue } from '../cursor.ts';
import { After, type Freshness } from '../fresh.ts';
import { within } from '../reach.ts';
import { Count, limitOf, listOf, nullable, Paging, Position, Text } from '../shapes.ts';

const table = 'access_audit';
const wordCharsMax = 256;

const codes = Object.entries({ ...refusalCodes, ...edgeCodes })
  .filter(([code, { status }]) => isRefusal({ status, code }))
  .map(([code]) => code);

const Word = Type.String({
  minLength: 1,
  maxLength: wordCharsMax,
  description: 'Exactly this; with * at the end, whatever begins so',
});
const Query = Type.Object({
  actor: Type.Optional(Word),
  action: Type.Optional(Word),
  target: Type.Optional(Word),
  outcome: Type.Optional(
    Type.String({
      enum: ['succeeded', 'refused', ...codes],
      description: 'refused: whatever did not succeed; else the code of the refusal',
    }),
  ),
  from: Type.Optional(Type.String({ format: 'date-time', description: 'Not before this time' })),
  to: Type.Optional(Type.String({ format: 'date-time', description: 'Before this time' })),
  ...After,
  ...Paging,
});

const Entry = Type.Object({
  position: Position,
  at: Type.String({ format: 'date-time', description: 'When it happened; of several, the last' }),
  since: Type.String({ format: 'date-time', description: 'When the first of several happened' }),
  actor: Text,
  action: Type.String({ description: 'The type of the event; of what was refused, method and route' }),
  target: nullable(Type.String({ description: 'Such as apps/shop, builds/<id>, api-keys/<id>' })),
  outcome: Type.String({ description: 'succeeded, or the code of the refusal' }),
  status: nullable(Count),
  route: Text,
  ip: Text,
  userAgent: Text,
  correlationId: Text,
  count: Type.Integer({ description: 'How often: refusals of one actor are counted when they are many' }),
});

export function auditReads({ sql, fresh }: { sql: Knex; fresh: Freshness }): FastifyPluginAsyncTypebox {
  return async app => {
    app.addHook('preHandler', fresh.check);
    app.get(
      '/audit',
      {
        config: { scope: 'audit:read' },
        schema: {
          tags: ['access'],
          summary: 'Who did what and who was refused, newest first',
          querystring: Query,
          response: { 200: listOf(Entry) },
        },
      },
      ({ query, identity }) => auditPage(sql, query, identity),
    );
  };
}

type Asked = Static<typeof Query>;

async function auditPage(sql: Knex, query: Asked, { apps }: Identity) {
  const limit = limitOf(query);
  const { actor, action, target, outcome } = query;
  refuseUnusable({ actor, action, target });
  const { from, to } = timesOf(query);
  const sum = querySum(['audit', actor, action, target, outcome, from, to, apps]);
  const place = query.cursor === undefined ? undefined : placeOf(query.cursor, sum, timeValue);
  if (place !== undefined && !numberValue.test(place.id)) throw notOurs();
  const found = sql(table)
    .orderBy([
      { column: 'at', order: 'desc' },
      // With its table: the text below has the same name.
      { column: `${table}.position`, order: 'desc' },
    ])
    .limit(limit + 1)
    .select('*', sql.raw('position::text as position'));
  for (const [column, word] of Object.entries({ actor, action, target })) {
    if (word?.endsWith('*')) found.whereLike(column, beginning(word.slice(0, -1)));
    else if (word !== undefined) found.where(column, word);
  }
  // Word for word as in the index of what was refused.
  if (outcome === 'refused') found.whereRaw(`outcome <> 'succeeded'`);
  else if (outcome !== undefined) found.where({ outcome });
  if (from !== undefined) found.where('at', '>=', from);
  if (to !== undefined) found.where('at', '<', to);
  if (place !== undefined)
    found.whereRaw('(at, position) < (?::timestamptz, ?::bigint)', [place.value, place.id]);
  const reach = within(apps);
  found.whereRaw(reach.where, reach.bind as never);
  const rows: AuditRow[] = await found;
  const last = rows.length > limit ? rows[limit - 1] : undefined;
  const nextCursor =
    last === undefined ? null : cursorOf({ tier: 0, value: last.at, id: last.position }, sum);
  return { data: rows.slice(0, limit).map(entryOf), meta: { nextCursor } };
}

type AuditRow = Readonly<Record<string, unknown>> & { readonly at: string; readonly position: string };

function entryOf(row: AuditRow) {
  const { position, at, since, actor, action, target, outcome, status, route, ip, count } = row;
  const more = { userAgent: row.user_agent, correlationId: row.correlation_id };
  return { position, at, since, actor, action, target, outcome, status, route, ip, ...more, count } as never;
}

const beginning = (text: string) => `${text.replace(/[\\%_]/g, '\\$&')}%`;

/** A text of PostgreSQL cannot hold NUL. */
function refuseUnusable(words: Readonly<Record<string, string | undefined>>): void {
  const errors = Object.entries(words)
    .filter(([, word]) => word?.includes('\0'))
    .map(([field]) => ({ field, message: 'must be text without NUL' }));
  if (errors.length > 0) throw invalid(errors);
}

/** Both in UTC with milliseconds. A schema lets through what no table can hold: the year 0, a second that leaps. */
function timesOf({ from, to }: Asked): { from: string | undefined; to: string | undefined } {
  const errors: FieldError[] = [];
  const read = (field: string, text: string | undefined) => {
    if (text === undefined) return undefined;
    const ms = Date.parse(text);
    const time = Number.isNaN(ms) ? '' : new Date(ms).toISOString();
    if (!timeValue.test(time))
      errors.push({ field, message: 'must be a time as in RFC 3339, of the years 1 to 9999' });
    return time;
  };
  const times = { from: read('from', from), to: read('to', to) };
  if (errors.length === 0 && times.from !== undefined && times.to !== undefined && times.from >= times.to)
    errors.push({ field: 'to', message: 'must be later than from' });
  if (errors.length > 0) throw invalid(errors);
  return times;
}

const notOurs = () =>
  invalid([{ field: 'cursor', message: 'must be the nextCursor of a page of the same query' }]);
