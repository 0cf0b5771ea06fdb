/** GET /apps and GET /suggest: find apps by words and tags, and be told which tags there are while typing. */
import { type FastifyPluginAsyncTypebox, type TSchema, Type } from '@fastify/type-provider-typebox';
import type { preHandlerAsyncHookHandler } from 'fastify';
import type { Knex } from 'knex';
import { clean } from '../../domain/apps/words.ts';
import { cursorCharsMax, cursorOf, placeOf, querySum } from '../cursor.ts';
import { After } from '../fresh.ts';
import type { Reach } from '../reach.ts';
import { find, orderOf, type Search, type Sort, sorts } from './find.ts';
import { parseQuery, tiersOf } from './query.ts';
import { suggest } from './tag.ts';

const textCharsMax = 16 * 1_024;
const pageMax = 100;
const pageDefault = 25;
const suggestionsMax = 50;
const suggestionsDefault = 12;
const statuses = ['pending', 'processing', 'ready', 'failed', 'archived'] as const;

export type SearchDeps<App> = {
  readonly sql: Knex;
  /** The apps with these ids; one that is gone is left out. */
  readonly loadApps: (ids: readonly string[]) => Promise<readonly App[]>;
  /** Of one app, for the answer and its description. */
  readonly shape?: TSchema;
  /** Waits for the position in `?after=`. */
  readonly fresh: preHandlerAsyncHookHandler;
};

const Text = Type.String({ maxLength: textCharsMax });
const Count = Type.Object({ value: Type.String(), count: Type.Integer() });
const Meta = Type.Object({
  total: Type.Object({ count: Type.Integer(), exact: Type.Boolean() }),
  nextCursor: Type.Union([Type.String(), Type.Null()]),
  facets: Type.Object({
    tags: Type.Array(Type.Object({ key: Type.String(), value: Type.String(), count: Type.Integer() })),
    statuses: Type.Array(Count),
    owners: Type.Array(Count),
  }),
  sort: Type.String(),
});

const Asked = Type.Object({
  q: Type.Optional(Text),
  tags: Type.Optional(Type.Array(Text, { maxItems: 20 })),
  status: Type.Optional(Type.Array(Type.String({ maxLength: 100 }), { maxItems: 10 })),
  owner: Type.Optional(Type.String({ maxLength: 1_024 })),
  sort: Type.Optional(Type.String({ enum: [...sorts] })),
  cursor: Type.Optional(Type.String({ maxLength: cursorCharsMax })),
  limit: Type.Integer({ minimum: 1, maximum: pageMax, default: pageDefault }),
  ...After,
});

const Suggestions = Type.Object({
  data: Type.Array(
    Type.Object({
      type: Type.String({ enum: ['key', 'pair'] }),
      value: Type.String(),
      label: Type.String(),
      count: Type.Integer(),
    }),
  ),
});

type Question = {
  readonly q?: string;
  readonly tags?: readonly string[];
  readonly status?: readonly string[];
  readonly owner?: string;
  readonly sort?: string;
  readonly cursor?: string;
  readonly limit: number;
};

/** One page of apps, with what all apps found have in common. Throws 400 for a cursor of another query. */
export async function searchApps<App extends { readonly id: string }>(
  { sql, loadApps }: Pick<SearchDeps<App>, 'sql' | 'loadApps'>,
  asked: Question,
  reach: Reach = null,
) {
  const query = parseQuery(asked.q ?? '', asked.tags);
  const sort = (asked.sort ?? (query.words.length > 0 ? 'relevance' : 'updated')) as Sort;
  const wanted = (asked.status ?? []).flatMap(list => list.split(',')).filter(status => status !== '');
  const known = wanted.filter(status => (statuses as readonly string[]).includes(status));
  const owner = asked.owner === undefined || asked.owner === '' ? undefined : clean(asked.owner);
  const search: Search = {
    tiers: tiersOf(query.words),
    tags: query.tags,
    statuses: known,
    owner,
    sort,
    apps: reach,
  };
  const sum = querySum(search);
  const place = asked.cursor ? placeOf(asked.cursor, sum, orderOf(sort).pattern) : undefined;
  // Text without a letter or a digit, and a status that does not exist, match nothing.
  const isHopeless = (query.hasText && query.words.length === 0) || (wanted.length > 0 && known.length === 0);
  if (isHopeless) {
    const facets = { tags: [], statuses: [], owners: [] };
    return { data: [], meta: { total: { count: 0, exact: true }, nextCursor: null, facets, sort } };
  }
  const { page: found, counted } = await find(sql, search, place, asked.limit + 1);
  const page = found.slice(0, asked.limit);
  const last = found.length > asked.limit ? page.at(-1) : undefined;
  const nextCursor = last === undefined ? null : cursorOf(last, sum);
  const apps = new Map((await loadApps(page.map(({ id }) => id))).map(app => [app.id, app]));
  const data = page.flatMap(({ id }) => apps.get(id) ?? []);
  return { data, meta: { ...counted, nextCursor, sort } };
}

/** Registers both routes. */
export function searchReads<App extends { readonly id: string }>(
  deps: SearchDeps<App>,
): FastifyPluginAsyncTypebox {
  return async app => {
    app.get(
      '/apps',
      {
        config: { scope: 'apps:read' },
        preHandler: deps.fresh,
        schema: {
          tags: ['apps'],
          summary: 'Find apps by words and tags',
          querystring: Asked,
          response: { 200: Type.Object({ data: Type.Array(deps.shape ?? Type.Any()), meta: Meta }) },
        },
      },
      // The schema of an app is given from outside, so the compiler cannot see that they fit.
      request => searchApps(deps, request.query, request.identity.apps) as never,
    );
    app.get(
      '/suggest',
      {
        config: { scope: 'apps:read' },
        preHandler: deps.fresh,
        schema: {
          tags: ['apps'],
          summary: 'Tags that the last word of a text may become',
          querystring: Type.Object({
            q: Type.String({ maxLength: textCharsMax, default: '' }),
            limit: Type.Integer({ minimum: 1, maximum: suggestionsMax, default: suggestionsDefault }),
            ...After,
          }),
          response: { 200: Suggestions },
        },
      },
      async ({ query: { q, limit }, identity }) => ({
        data: [...(await suggest(deps.sql, q, limit, identity.apps))],
      }),
    );
  };
}
