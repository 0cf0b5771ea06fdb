/**
 * Finds a page of apps at a cost that hardly depends on how many apps there are. What is common is found by walking a bounded
 * way along the order that is asked for; what is rare is found by the GIN indexes and sorted. Together they miss nothing.
 */
import type { Knex } from 'knex';
import { type Place, timeValue } from '../cursor.ts';
import { type Reach, within } from '../reach.ts';

export const sorts = ['relevance', 'updated', 'name'] as const;
export type Sort = (typeof sorts)[number];

export type Search = {
  /** Tsqueries, each of which matches all that the one before it does; none: no words were asked for. */
  readonly tiers: readonly string[];
  readonly tags: readonly string[];
  readonly statuses: readonly string[];
  readonly owner: string | undefined;
  readonly sort: Sort;
  /** What the asker may reach. */
  readonly apps: Reach;
};

export type Found = { readonly id: string; readonly value: string; readonly tier: number };

/** Rows of the order that are looked at before an index is asked. */
const walkedMax = 4_000;
/** Matches of words that are looked at all together; words cost as much again with each look, tags do not. */
const fewMax = 2_000;
/** Matches that facets and the total are counted over. */
const countedMax = 500;

type Filter = { readonly where: string; readonly bind: Record<string, unknown> };

/** How rows are ordered, and the text of a value that a cursor can hold exactly. */
const orders = {
  updated: {
    columns: 'updated_at desc, app_id desc',
    beyond: '(updated_at, app_id) < (cast(:value as timestamptz), :id)',
    value: `to_char(updated_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`,
    // The same order, in a form that no index has.
    unindexed: `updated_at + interval '0' desc, app_id desc`,
    pattern: timeValue,
  },
  name: {
    columns: 'name_sort, app_id',
    beyond: '(name_sort, app_id) > (:value, :id)',
    value: 'name_sort',
    unindexed: `name_sort || '', app_id`,
    pattern: /^/,
  },
} as const;

export const orderOf = (sort: Sort) => (sort === 'name' ? orders.name : orders.updated);

/** Whether an app belongs to the search, words aside. Archived ones only where they are asked for. */
function filterOf({ tags, statuses, owner, apps }: Search): Filter {
  const reach = within(apps);
  const live = statuses.filter(status => status !== 'archived');
  const parts: string[] = [];
  if (live.length === statuses.length) parts.push('not archived');
  else if (live.length === 0) parts.push('archived');
  if (live.length > 0) {
    parts.push(live.length === statuses.length ? 'status = any(:live)' : '(archived or status = any(:live))');
  }
  if (tags.length > 0) parts.push('tags @> cast(:tags as text[])');
  if (owner !== undefined) parts.push('owner = :owner');
  if (apps !== null) parts.push(reach.where);
  return { where: parts.join(' and ') || 'true', bind: { live, tags, owner: owner ?? null, ...reach.bind } };
}

/** A run of tiers of one search, all of it or what comes after a place in its first tier. */
type Range = { readonly first: number; readonly last: number; readonly from: Place | undefined };

/** What a search finds: a page of it, and what all of it has in common. */
export async function find(sql: Knex, search: Search, from: Place | undefined, limit: number) {
  let asked: Promise<Few> | undefined;
  const few = () => {
    asked ??= findFew(sql, search, limit);
    return asked;
  };
  const [page, counted] = await Promise.all([
    findPage(sql, search, from, limit, few),
    countFacets(sql, search, few),
  ]);
  return { page, counted };
}

const tiersAsked = ({ sort, tiers }: Search) => (sort === 'relevance' ? tiers : tiers.slice(-1));

/** Up to `limit` apps after `from`, in order. */
async function findPage(
  sql: Knex,
  search: Search,
  from: Place | undefined,
  limit: number,
  few: () => Promise<Few>,
): Promise<readonly Found[]> {
  const tiers = tiersAsked(search);
  // Without words there is one tier, which everything belongs to.
  const last = Math.max(tiers.length - 1, 0);
  if (from === undefined) return findIn(sql, search, tiers, { first: 0, last, from }, limit, few);
  // The tier that the last page ended in goes on from there; the others begin at the top.
  const first = Math.min(from.tier, last);
  const rest = await findIn(sql, search, tiers, { first, last: first, from }, limit);
  if (rest.length === limit || first === last) return rest;
  const others = { first: first + 1, last, from: undefined };
  return [...rest, ...(await findIn(sql, search, tiers, others, limit - rest.length))];
}

async function findIn(
  sql: Knex,
  search: Search,
  tiers: readonly string[],
  range: Range,
  limit: number,
  few?: () => Promise<Few>,
): Promise<readonly Found[]> {
  const { rows, isAll } = await walk(sql, search, tiers, range, limit);
  if (isAll) return rows;
  // A tier whose share of the page was seen nearby is complete there; what comes before it may have more far away.
  const complete = rows.length === limit ? (rows.at(-1)?.tier ?? range.first) : range.last + 1;
  if (complete === range.first) return rows;
  const all = await few?.();
  if (all?.page !== undefined) return all.page;
  const found = await lookUp(sql, search, tiers, { ...range, last: complete - 1 }, limit);
  return [...found, ...rows.filter(({ tier }) => tier === complete)].slice(0, limit);
}

/** The first matches by tier among the next rows of the order, and whether those rows were all there are. */
async function walk(
  sql: Knex,
  search: Search,
  tiers: readonly string[],
  { first, last, from }: Range,
  limit: number,
): Promise<{ rows: readonly Found[]; isAll: boolean }> {
  const order = orderOf(search.sort);
  const { where, bind } = filterOf(search);
  const tier = tierIn(last);
  const way = `from apps_search ${from === undefined ? '' : `where ${order.beyond}`}
    order by ${order.columns} limit :walkedMax`;
  // What cursors hold is made of the page's rows only, and how far there was to walk is asked only where it matters.
  const { rows } = await sql.raw(
    `with page as materialized (
       select app_id, updated_at, name_sort, tier from (
         select *, ${tier} as tier from (select * ${way}) near
         where ${where} ${tiers.length === 0 ? '' : `and words @@ cast(:tier${last} as tsquery)`}) matching
       ${first === 0 ? '' : `where tier >= ${first}`}
       order by ${last > first ? 'tier,' : ''} ${order.columns} limit :limit)
     (select app_id as id, ${order.value} as value, tier, null as ways from page)
     union all select null, null, -1, count(*) from (select ${way}) way where (select count(*) from page) < :limit`,
    { ...bind, ...queriesOf(tiers), value: from?.value ?? '', id: from?.id ?? '', walkedMax, limit },
  );
  const found = rows.filter((row: Found) => row.tier >= 0);
  const { ways } = rows.find((row: Found) => row.tier === -1);
  return { rows: found, isAll: found.length < limit && Number(ways) < walkedMax };
}

/** The tier of a row that matches the last of these. */
function tierIn(last: number): string {
  const cases = Array.from(
    { length: last },
    (_, at) => `when words @@ cast(:tier${at} as tsquery) then ${at}`,
  );
  return cases.length === 0 ? `${last}` : `case ${cases.join(' ')} else ${last} end`;
}

const queriesOf = (tiers: readonly string[]) =>
  Object.fromEntries(tiers.map((query, at) => [`tier${at}`, query]));

/**
 * The first apps of these tiers, by an index on words or tags where one of them is asked for. A tier is looked up only when those
 * before it have not filled the page: PostgreSQL runs the parts of an ordered UNION ALL one after another until it has enough.
 */
async function lookUp(
  sql: Knex,
  search: Search,
  tiers: readonly string[],
  { first, last, from }: Range,
  limit: number,
): Promise<readonly Found[]> {
  const order = orderOf(search.sort);
  const { where, bind } = filterOf(search);
  const isIndexed = tiers.length > 0 || search.tags.length > 0;
  const parts: string[] = [];
  for (let tier = first; tier <= last; tier += 1) {
    parts.push(`(select app_id as id, ${order.value} as value, ${tier} as tier from apps_search
      where ${where} ${tiers.length === 0 ? '' : `and words @@ cast(:tier${tier} as tsquery)`}
        ${tier === 0 ? '' : `and not words @@ cast(:tier${tier - 1} as tsquery)`}
        ${tier === first && from !== undefined ? `and ${order.beyond}` : ''}
      order by ${isIndexed ? order.unindexed : order.columns} limit :limit)`);
  }
  const { rows } = await sql.raw(`select * from (${parts.join(' union all ')}) found limit :limit`, {
    ...bind,
    ...queriesOf(tiers),
    value: from?.value ?? '',
    id: from?.id ?? '',
    limit,
  });
  return rows;
}

export type Facets = {
  tags: { key: string; value: string; count: number }[];
  statuses: { value: string; count: number }[];
  owners: { value: string; count: number }[];
};

const tagFacetsMax = 50;
const otherFacetsMax = 10;

// JSON is parsed faster than PostgreSQL's own text form of arrays.
const countedColumns =
  "to_json(tags) as tags, owner, case when archived then 'archived' else status end as status";

type Few = {
  /** Of all that match, whatever the page begins with; undefined where too many match to have been looked at. */
  readonly page: readonly Found[] | undefined;
  /** Some that match; all of them where there are no more than 500. */
  readonly counted: readonly Counted[];
};

/**
 * What an index finds, as long as it is little: one look at it serves the page and what all apps found have in common. Two common
 * words together match few apps, and each look costs what the words cost.
 */
async function findFew(sql: Knex, search: Search, limit: number): Promise<Few> {
  const order = orderOf(search.sort);
  const { where, bind } = filterOf(search);
  const tiers = tiersAsked(search);
  const last = Math.max(tiers.length - 1, 0);
  const allMax = tiers.length === 0 ? countedMax : fewMax;
  const { rows } = await sql.raw(
    `with found as materialized (
       select app_id, updated_at, name_sort, tags, owner, archived, status, ${tierIn(last)} as tier from apps_search
       where ${where} ${tiers.length === 0 ? '' : `and words @@ cast(:tier${last} as tsquery)`} offset 0 limit :fewMost)
     (select app_id as id, ${order.value} as value, tier, null as tags, null as owner, null as status from (
       select * from found order by tier, ${order.columns} limit :limit) page)
     union all (select null, null, -1, ${countedColumns} from found limit :most)
     union all select null, count(*)::text, -2, null, null, null from found`,
    { ...bind, ...queriesOf(tiers), fewMost: allMax + 1, limit, most: countedMax + 1 },
  );
  const of = (wanted: (tier: number) => boolean) => rows.filter(({ tier }: Found) => wanted(tier));
  const [{ value: count }] = of(tier => tier === -2);
  return {
    page: Number(count) > allMax ? undefined : of(tier => tier >= 0),
    counted: of(tier => tier === -1),
  };
}

/** What the apps found have in common, over the first 500 of them; exact where there are no more. */
async function countFacets(
  sql: Knex,
  search: Search,
  few: () => Promise<Few>,
): Promise<{ facets: Facets; total: { count: number; exact: boolean } }> {
  const { where, bind } = filterOf(search);
  const query = search.tiers.at(-1);
  // As for pages: what is common shows itself among the newest; what is rare, the index knows.
  const { rows: near } = await sql.raw(
    `select ${countedColumns} from (
       select * from apps_search order by updated_at desc, app_id desc limit :walkedMax) near
     where ${where} ${query === undefined ? '' : 'and words @@ cast(:query as tsquery)'} limit :most`,
    { ...bind, query: query ?? '', walkedMax, most: countedMax + 1 },
  );
  const rows: readonly Counted[] = near.length > countedMax ? near : (await few()).counted;
  return countRows(rows.slice(0, countedMax), rows.length <= countedMax);
}

type Counted = { readonly tags: readonly string[]; readonly owner: string | null; readonly status: string };

function countRows(rows: readonly Counted[], exact: boolean) {
  const tags = mostFrequent(
    rows.flatMap(row => row.tags),
    tagFacetsMax,
  );
  return {
    facets: {
      tags: tags.map(({ value: tag, count }) => {
        const at = tag.indexOf(':');
        return { key: tag.slice(0, at), value: tag.slice(at + 1), count };
      }),
      statuses: mostFrequent(
        rows.map(row => row.status),
        otherFacetsMax,
      ),
      owners: mostFrequent(
        rows.flatMap(row => row.owner ?? []),
        otherFacetsMax,
      ),
    },
    total: { count: rows.length, exact },
  };
}

function mostFrequent(values: readonly string[], countMax: number): { value: string; count: number }[] {
  const counts = new Map<string, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts]
    .map(([value, count]) => ({ value, count }))
    .sort((a, b) => b.count - a.count || (a.value < b.value ? -1 : 1))
    .slice(0, countMax);
}
