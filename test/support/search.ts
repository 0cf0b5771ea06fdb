/** The search and tag tables in a real database, filled through the projections. */
import type { SourcedTag } from '../../domain/apps/tag.ts';
import type { PlatformEvent } from '../../domain/events.ts';
import { applySteps } from '../../projections/apply.ts';
import { search } from '../../projections/apps/search.ts';
import { tags } from '../../projections/apps/tag.ts';
import { mergeOps } from '../../projections/merge.ts';
import { opsOf } from '../../projections/projection.ts';
import { type TestDatabase, testDatabase } from './postgres.ts';
import { recorded } from './recorded.ts';

export const day = (at: number) => new Date(Date.UTC(2026, 0, 1) + at * 1_000).toISOString();

export type SearchTables = TestDatabase & {
  /** Stores the events as one batch. */
  store(...events: readonly PlatformEvent[]): Promise<void>;
  /** Removes every row. */
  empty(): Promise<void>;
};

export async function searchTables(): Promise<SearchTables> {
  const database = await testDatabase();
  for (const projection of [search, tags]) await projection.createTables(database.sql.schema);
  let position = 0n;
  return {
    ...database,
    async store(...events) {
      const batch = events.map(event => recorded(event, ++position));
      for (const projection of [search, tags]) {
        const ops = batch.flatMap(event => opsOf(projection, event));
        await applySteps(database.sql, projection.tables, mergeOps(projection.tables, ops));
      }
    },
    async empty() {
      for (const projection of [search, tags])
        for (const table of Object.keys(projection.tables)) await database.sql(table).delete();
    },
  };
}

type Said = {
  name?: string;
  description?: string | null;
  owner?: string | null;
  tags?: string[];
  at?: number;
};

export function registered(appId: string, said: Said = {}): PlatformEvent {
  return {
    type: 'RepositoryRegistered',
    data: {
      appId,
      at: day(said.at ?? 0),
      name: said.name ?? appId,
      description: said.description ?? null,
      repoUrl: 'https://git.example/app.git',
      ref: null,
      dockerfilePath: null,
      homepage: null,
      owner: said.owner ?? null,
      tags: (said.tags ?? []).map(pair),
    },
  };
}

export function pair(text: string): { key: string; value: string } {
  const at = text.indexOf(':');
  return { key: text.slice(0, at), value: text.slice(at + 1) };
}

export function ingested(
  appId: string,
  tags: readonly string[],
  at = 1,
  title: string | null = null,
): PlatformEvent {
  const found: SourcedTag[] = tags.map(text => ({ ...pair(text), source: 'auto:package' }));
  return {
    type: 'IngestionSucceeded',
    data: {
      appId,
      run: 1,
      attempt: 1,
      commit: 'c',
      branch: null,
      inspection: {
        dockerfilePath: 'Dockerfile',
        title,
        description: null,
        homepage: null,
        tags: found,
        previews: [],
        ports: [],
        healthcheck: false,
      },
      durations: { cloneMs: 1, inspectMs: 1, storeMs: 1 },
      at: day(at),
    },
  };
}

export const archived = (appId: string, at = 9): PlatformEvent => ({
  type: 'RepositoryArchived',
  data: { appId, at: day(at) },
});
export const tagged = (appId: string, tag: string, at = 2): PlatformEvent => ({
  type: 'RepositoryTagged',
  data: { appId, at: day(at), tag: pair(tag) },
});
export const untagged = (appId: string, tag: string, at = 3): PlatformEvent => ({
  type: 'RepositoryUntagged',
  data: { appId, at: day(at), tag: pair(tag) },
});
