/**
 * What a search looks at: one row an app, with its words as a tsvector. Full text weights are not part of a GIN index, so the
 * weight is part of the lexeme: `0` the whole name, `1` a word of the name, `2` of name or tags, `3` of anything. A search asks
 * for 1 before 2 before 3 and each of them is one index lookup.
 */
import type { SourcedTag } from '../../domain/apps/tag.ts';
import { clean, foldShort, foldTag, nameLexeme, wordsOf } from '../../domain/apps/words.ts';
import { drop, dropAll, type Op, type Projection, patch, put, type Row } from '../projection.ts';

const table = 'apps_search';
const own = 'apps_search_own_tags';

const tagCharsMax = 400;

type Tag = Pick<SourcedTag, 'key' | 'value'>;
const tagWords = (tags: readonly Tag[]) => wordsOf(tags.map(tag => `${tag.key} ${tag.value}`).join(' '));
const tagText = (tag: Tag) => clean(`${tag.key}:${tag.value}`).slice(0, tagCharsMax).toWellFormed();

function putOwn(appId: string, tag: Tag): Op {
  return put(own, {
    app_id: appId,
    tag: tagText(tag),
    folded: foldTag(tag),
    words: tagWords([tag]).join(' '),
  });
}

/** The columns that follow from what the owner says. */
function described(appId: string, said: { readonly [field: string]: string | null | undefined }): Row {
  const { name, description, owner } = said;
  return {
    ...(name === undefined || name === null
      ? {}
      : {
          name_sort: foldShort(name),
          name_lexeme: nameLexeme(wordsOf(name)),
          name_words: wordsOf(`${name} ${appId}`).join(' '),
        }),
    ...(description === undefined ? {} : { about_words: wordsOf(description ?? '').join(' ') }),
    ...(owner === undefined ? {} : { owner: owner === null ? null : clean(owner) }),
  };
}

const status = (data: { appId: string; at: string }, to: string) => [
  patch(table, { app_id: data.appId }, { status: to, updated_at: data.at }),
];
const touched = (data: { appId: string; at: string }) =>
  patch(table, { app_id: data.appId }, { updated_at: data.at });

export const search: Projection = {
  name: table,
  version: 1,
  tables: { [table]: ['app_id'], [own]: ['app_id', 'tag'] },
  madeAt: { [table]: 'updated_at' },

  createTables: schema => schema.raw(tables).raw(functions).raw(triggers),

  on: {
    // The tags first: then the row finds them when it is inserted, and is written once.
    RepositoryRegistered: ({ data }) => [
      dropAll(own, { app_id: data.appId }),
      ...data.tags.map(tag => putOwn(data.appId, tag)),
      put(table, {
        app_id: data.appId,
        ...described(data.appId, data as unknown as Record<string, string | null>),
        status: 'pending',
        archived: false,
        updated_at: data.at,
      }),
    ],
    RepositoryChanged: ({ data }) => [
      patch(table, { app_id: data.appId }, { ...described(data.appId, data.changes), updated_at: data.at }),
    ],
    RepositoryTagged: ({ data }) => [putOwn(data.appId, data.tag), touched(data)],
    RepositoryUntagged: ({ data }) => [
      drop(own, { app_id: data.appId, tag: tagText(data.tag) }),
      touched(data),
    ],
    RepositoryReleased: ({ data }) => [touched(data)],
    RepositoryArchived: ({ data }) => [
      patch(table, { app_id: data.appId }, { archived: true, updated_at: data.at }),
    ],
    IngestionQueued: ({ data }) => status(data, 'pending'),
    IngestionStarted: ({ data }) => status(data, 'processing'),
    IngestionAttemptFailed: ({ data }) => status(data, 'pending'),
    IngestionFailed: ({ data }) => status(data, 'failed'),
    IngestionCancelled: ({ data }) => status(data, 'failed'),
    IngestionSucceeded: ({ data: { appId, at, inspection } }) => [
      patch(
        table,
        { app_id: appId },
        {
          status: 'ready',
          updated_at: at,
          found_tags: [...new Set(inspection.tags.map(foldTag))].sort(),
          found_words: tagWords(inspection.tags).join(' '),
          found_about_words: wordsOf(`${inspection.title ?? ''} ${inspection.description ?? ''}`).join(' '),
        },
      ),
    ],
  },
};

/**
 * Lists of words are kept as text with single spaces: no word holds one. `tags` are folded, for filters and facets. `app_id` has
 * one collation in both tables, or their indexes would not serve to bring them together.
 */
const tables = `
  create table ${own} (
    app_id text collate "C", tag text, folded text not null, words text not null, primary key (app_id, tag));
  create table ${table} (
    app_id text collate "C" primary key,
    name_sort text collate "C" not null,
    name_lexeme text not null,
    name_words text not null,
    about_words text not null default '',
    owner text,
    status text not null,
    archived boolean not null,
    updated_at timestamptz not null,
    own_tags text[] not null default '{}',
    own_words text not null default '',
    found_tags text[] not null default '{}',
    found_words text not null default '',
    found_about_words text not null default '',
    tags text[] not null default '{}',
    words tsvector not null default '');
  create index apps_search_words on ${table} using gin (words) with (gin_pending_list_limit = 512);
  create index apps_search_tags on ${table} using gin (tags) with (gin_pending_list_limit = 512);
  create index apps_search_updated on ${table} (updated_at desc, app_id desc);
  create index apps_search_name on ${table} (name_sort, app_id);
  create index apps_search_owner on ${table} (owner, updated_at desc, app_id desc);
  create index apps_search_status on ${table} (archived, status, updated_at desc, app_id desc)`;

const functions = `
  create or replace function apps_search_lexemes(weight text, words text) returns text language sql immutable as $$
    select weight || replace(nullif(words, ''), ' ', ' ' || weight) $$;

  create or replace function apps_search_fill() returns trigger language plpgsql as $$
  declare
    tagged text;
  begin
    if tg_op = 'INSERT' then
      select coalesce(array_agg(distinct folded order by folded), '{}'), coalesce(string_agg(words, ' ' order by tag), '')
        into new.own_tags, new.own_words from ${own} where app_id = new.app_id;
    end if;
    tagged := concat_ws(' ', new.name_words, nullif(new.own_words, ''), nullif(new.found_words, ''));
    -- Doubles are left out by array_to_tsvector.
    new.words := array_to_tsvector(string_to_array(concat_ws(' ', '0' || new.name_lexeme,
      apps_search_lexemes('1', new.name_words), apps_search_lexemes('2', tagged), apps_search_lexemes('3',
        concat_ws(' ', tagged, nullif(new.about_words, ''), nullif(new.found_about_words, '')))), ' '));
    new.tags := case
      when new.found_tags = '{}' then new.own_tags
      when new.own_tags = '{}' then new.found_tags
      else array(select distinct tag from unnest(new.own_tags || new.found_tags) as tag order by tag) end;
    return new;
  end $$;

  create or replace function apps_search_own_changed() returns trigger language plpgsql as $$
  begin
    update ${table} s set own_tags = o.tags, own_words = o.words from (
      select c.app_id, coalesce(array_agg(distinct folded order by folded) filter (where folded is not null), '{}') as tags,
        coalesce(string_agg(words, ' ' order by tag), '') as words
      from (select distinct app_id from rows) c left join ${own} using (app_id) group by c.app_id) o
    where s.app_id = o.app_id and (s.own_tags <> o.tags or s.own_words <> o.words);
    return null;
  end $$`;

/** The row and its own tags may come in either order; whichever comes second brings them together. */
const triggers = `
  create trigger filled before insert or update of name_words, name_lexeme, about_words, own_tags, own_words,
    found_tags, found_words, found_about_words on ${table} for each row execute function apps_search_fill();
  create trigger tagged after insert on ${own}
    referencing new table as rows for each statement execute function apps_search_own_changed();
  create trigger untagged after delete on ${own}
    referencing old table as rows for each statement execute function apps_search_own_changed()`;
