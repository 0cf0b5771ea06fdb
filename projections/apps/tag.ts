/**
 * The tags of each app, and how many apps use each tag. The counts follow the rows by statement triggers, which hold one
 * promise after every statement: a count is the number of distinct apps that have the tag and are not archived. So the
 * outcome does not depend on how the log is cut into batches.
 */
import type { SourcedTag, TagSource } from '../../domain/apps/tag.ts';
import { clean, foldTag } from '../../domain/apps/words.ts';
import { drop, dropAll, type Op, type Projection, put } from '../projection.ts';

const table = 'apps_tags';
const archived = 'apps_tags_archived';
const counts = 'apps_tag_counts';
const keys = 'apps_tag_keys';

/** `own`: said by people. `found`: read in the repository; the next ingestion says all of them anew. */
type Origin = 'own' | 'found';

/** Names a row; its index entry must stay small. */
const tagCharsMax = 400;
const tagText = ({ key, value }: { key: string; value: string }) =>
  clean(`${key}:${value}`).slice(0, tagCharsMax).toWellFormed();

function putTag(appId: string, origin: Origin, { key, value, source }: SourcedTag): Op {
  const row = { key: clean(key), value: clean(value), source, folded: foldTag({ key, value }) };
  return put(table, { app_id: appId, origin, tag: tagText({ key, value }), ...row });
}

const own = (appId: string, tag: { key: string; value: string }, source: TagSource) =>
  putTag(appId, 'own', { ...tag, source });

export const tags: Projection = {
  name: table,
  version: 1,
  tables: {
    [table]: ['app_id', 'origin', 'tag'],
    [archived]: ['app_id'],
    [counts]: ['folded'],
    [keys]: ['key'],
  },

  createTables: schema =>
    schema
      .createTable(table, t => {
        t.text('app_id');
        t.text('origin');
        t.text('tag');
        t.text('key').notNullable();
        t.text('value').notNullable();
        t.text('source').notNullable();
        t.text('folded').notNullable();
        t.primary(['app_id', 'origin', 'tag']);
      })
      .createTable(archived, t => {
        t.text('app_id').primary();
      })
      .raw(countTables)
      .raw(countFunctions)
      .raw(countTriggers),

  on: {
    RepositoryRegistered: ({ data }) => [
      drop(archived, { app_id: data.appId }),
      dropAll(table, { app_id: data.appId, origin: 'own' }),
      ...data.tags.map(tag => own(data.appId, tag, 'author')),
    ],
    RepositoryTagged: ({ data }) => [own(data.appId, data.tag, 'manual')],
    RepositoryUntagged: ({ data }) => [
      drop(table, { app_id: data.appId, origin: 'own', tag: tagText(data.tag) }),
    ],
    RepositoryArchived: ({ data }) => [put(archived, { app_id: data.appId })],
    IngestionSucceeded: ({ data }) => [
      dropAll(table, { app_id: data.appId, origin: 'found' }),
      ...data.inspection.tags.map(tag => putTag(data.appId, 'found', tag)),
    ],
  },
};

/** `C` collation: prefixes are ranges of the index. The indexes by count give the most used ones first. */
const countTables = `
  create table ${counts} (
    folded text collate "C" primary key,
    key text collate "C" not null,
    value text collate "C" not null,
    count integer not null);
  create index on ${counts} (key, count desc);
  create index on ${counts} (count desc);
  create index on ${counts} (value);
  create table ${keys} (key text collate "C" primary key, count integer not null);
  create index on ${keys} (count desc)`;

const countFunctions = `
  -- Adds sign to the counts of these tags, each of one app, and forgets counts that are zero.
  create or replace function apps_tags_count(folds text[], sign integer) returns void language plpgsql as $$
  begin
    insert into ${counts} as c (folded, key, value, count)
      select f, split_part(f, ':', 1), substr(f, strpos(f, ':') + 1), sign * count(*) from unnest(folds) f
      group by f order by f
      on conflict (folded) do update set count = c.count + excluded.count;
    insert into ${keys} as k (key, count)
      select split_part(f, ':', 1) as key, sign * count(*) from unnest(folds) f group by 1 order by 1
      on conflict (key) do update set count = k.count + excluded.count;
    if sign < 0 then
      delete from ${counts} where count = 0 and folded = any(folds);
      delete from ${keys} where count = 0 and key in (select split_part(f, ':', 1) from unnest(folds) f);
    end if;
  end $$;

  -- A tag an app has twice, own and found, counts once: only its first row and its last one matter.
  create or replace function apps_tags_inserted() returns trigger language plpgsql as $$
  begin
    perform apps_tags_count(array_agg(n.folded), 1) from
      (select app_id, folded, count(*) as added from rows group by 1, 2) n
      where n.added = (select count(*) from ${table} t where t.app_id = n.app_id and t.folded = n.folded)
        and not exists (select from ${archived} a where a.app_id = n.app_id)
      having count(*) > 0;
    return null;
  end $$;

  create or replace function apps_tags_deleted() returns trigger language plpgsql as $$
  begin
    perform apps_tags_count(array_agg(o.folded), -1) from
      (select distinct app_id, folded from rows) o
      where not exists (select from ${table} t where t.app_id = o.app_id and t.folded = o.folded)
        and not exists (select from ${archived} a where a.app_id = o.app_id)
      having count(*) > 0;
    return null;
  end $$;

  create or replace function apps_tags_archived() returns trigger language plpgsql as $$
  begin
    perform apps_tags_count(array_agg(d.folded), case when tg_op = 'INSERT' then -1 else 1 end) from
      (select distinct t.app_id, t.folded from rows r join ${table} t using (app_id)) d
      having count(*) > 0;
    return null;
  end $$`;

const countTriggers = `
  create trigger counted after insert on ${table}
    referencing new table as rows for each statement execute function apps_tags_inserted();
  create trigger uncounted after delete on ${table}
    referencing old table as rows for each statement execute function apps_tags_deleted();
  create trigger counted after insert on ${archived}
    referencing new table as rows for each statement execute function apps_tags_archived();
  create trigger uncounted after delete on ${archived}
    referencing old table as rows for each statement execute function apps_tags_archived()`;
