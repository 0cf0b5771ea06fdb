/** Tags of apps, and what a tag might become while it is being typed. */
import type { Knex } from 'knex';
import type { SourcedTag, TagSource } from '../../domain/apps/tag.ts';
import { fold } from '../../domain/apps/words.ts';
import { type Reach, within } from '../reach.ts';

export type Suggestion = {
  readonly type: 'key' | 'pair';
  /** What the word at the caret is to be replaced with. A key ends with its colon. */
  readonly value: string;
  readonly label: string;
  /** Apps that use it; archived ones do not count. */
  readonly count: number;
};

/** How many rows of an index are looked at on each way to a suggestion, however many tags there are. */
const lookedAtMax = 400;
const wordCharsMax = 200;
const withinMax = 2_000;

/** The tags of each of these apps, by key and value; what people said wins over what was found. */
export async function tagsOf(
  sql: Knex,
  appIds: readonly string[],
): Promise<Map<string, readonly SourcedTag[]>> {
  const found = new Map<string, SourcedTag[]>(appIds.map(id => [id, []]));
  const rows: { app_id: string; key: string; value: string; source: TagSource }[] = await sql('apps_tags')
    .distinctOn('app_id', 'key', 'value')
    .whereIn('app_id', [...appIds])
    // `own` comes after `found` in the alphabet.
    .orderBy([
      { column: 'app_id' },
      { column: 'key' },
      { column: 'value' },
      { column: 'origin', order: 'desc' },
    ])
    .select('app_id', 'key', 'value', 'source');
  for (const { app_id, key, value, source } of rows) found.get(app_id)?.push({ key, value, source });
  return found;
}

/** The word at the end of what was typed up to the caret, with an opened quotation: `a key:"two w` ends in `key:two w`. */
function wordAtCaret(text: string): string {
  const [word = ''] = /[^\s:",]+:"[^"]*$|[^\s,]*$/u.exec(text.slice(-wordCharsMax)) ?? [];
  return fold(word.replace('"', ''));
}

/**
 * Keys and pairs that begin with the last word of `text`, or pairs whose value does; most used first. Looked for among the most
 * used tags and among the first in the alphabet that fit, a bounded number of each.
 */
export async function suggest(
  sql: Knex,
  text: string,
  limit: number,
  apps: Reach = null,
): Promise<readonly Suggestion[]> {
  const word = wordAtCaret(text);
  const colon = word.indexOf(':');
  const [rows, keys] =
    apps !== null
      ? [await pairsWithin(sql, word, limit, apps), []]
      : colon < 0
        ? await Promise.all([pairsFor(sql, word, limit), keysFor(sql, word, limit)])
        : [await valuesFor(sql, word.slice(0, colon), word.slice(colon + 1), limit), []];
  const pairs = rows.map(({ folded, count }): Suggestion => {
    const at = folded.indexOf(':');
    const value = /\s|,/u.test(folded) ? `${folded.slice(0, at)}:"${folded.slice(at + 1)}"` : folded;
    return { type: 'pair', value, label: folded, count };
  });
  // Keys that the word begins are nearer to what is being typed than pairs are.
  return [...keys, ...pairs].slice(0, limit);
}

type Counted = { readonly folded: string; readonly count: number };

/** The end of the range of texts that begin with `prefix`, in order of code points. */
const after = (prefix: string) => `${prefix}\u{10ffff}`;

async function keysFor(sql: Knex, prefix: string, limit: number): Promise<readonly Suggestion[]> {
  const { rows } = await sql.raw(
    `select key, max(count) as count from (
       (select key, count from apps_tag_keys where key >= :prefix and key < :after order by key limit :most)
       union all
       (select key, count from (select key, count from apps_tag_keys order by count desc limit :most) top
        where starts_with(key, :prefix))) found
     group by key order by 2 desc, 1 limit :limit`,
    { prefix, after: after(prefix), most: lookedAtMax, limit: Math.ceil(limit / 2) },
  );
  return rows.map(({ key, count }: { key: string; count: number }) => ({
    type: 'key',
    value: `${key}:`,
    label: key,
    count,
  }));
}

async function pairsFor(sql: Knex, prefix: string, limit: number): Promise<readonly Counted[]> {
  const { rows } = await sql.raw(
    `select folded, max(count) as count from (
       (select folded, count from apps_tag_counts where folded >= :prefix and folded < :after
        order by folded limit :most)
       union all
       (select folded, count from apps_tag_counts where value >= :prefix and value < :after
        order by value limit :most)
       union all
       (select folded, count from (
          select folded, value, count from apps_tag_counts order by count desc limit :most) top
        where starts_with(folded, :prefix) or starts_with(value, :prefix))) found
     group by folded order by 2 desc, 1 limit :limit`,
    { prefix, after: after(prefix), most: lookedAtMax, limit },
  );
  return rows;
}

/** For a credential that is good for some apps only: the tags of these, counted over the newest of them. */
async function pairsWithin(sql: Knex, word: string, limit: number, apps: Reach): Promise<readonly Counted[]> {
  const { where, bind } = within(apps);
  const { rows } = await sql.raw(
    `select folded, count(*)::int as count from (
       select unnest(tags) as folded from (
         select tags from apps_search where not archived and ${where} order by updated_at desc limit :most) near) found
     where starts_with(folded, :word) or starts_with(substr(folded, strpos(folded, ':') + 1), :word)
     group by folded order by 2 desc, 1 limit :limit`,
    { ...bind, word, limit, most: withinMax },
  );
  return rows;
}

async function valuesFor(sql: Knex, key: string, prefix: string, limit: number): Promise<readonly Counted[]> {
  const whole = `${key}:${prefix}`;
  const { rows } = await sql.raw(
    `select folded, max(count) as count from (
       (select folded, count from apps_tag_counts where folded >= :whole and folded < :after
        order by folded limit :most)
       union all
       (select folded, count from (
          select folded, value, count from apps_tag_counts where key = :key order by count desc limit :most) top
        where starts_with(value, :prefix))) found
     group by folded order by 2 desc, 1 limit :limit`,
    { whole, key, prefix, after: after(whole), most: lookedAtMax, limit },
  );
  return rows;
}
