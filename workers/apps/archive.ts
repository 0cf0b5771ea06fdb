/** An archived app does nothing any more: what of it waits or runs is ended. */
import type { Knex } from 'knex';
import { stateOf } from '../../commands/execute.ts';
import { build } from '../../domain/apps/build.ts';
import { ingestion } from '../../domain/apps/ingestion.ts';
import { launch } from '../../domain/apps/launch.ts';
import { repository } from '../../domain/apps/repository.ts';
import type { BuildSecrets } from '../../platform/build-secrets.ts';
import { attempt, causedBy, type Effect, type Send, textOf } from '../effect.ts';
import { type Reaction, run } from '../reaction.ts';
import { tablesHave } from '../tables.ts';
import { removeSecretsOf } from './build-sweep.ts';

const rowsMax = 500;

export const archiveReaction: Reaction = {
  on: {
    RepositoryArchived: ({ data, id, position }) => [
      run('archive', id, { appId: data.appId, position: position.toString() }),
    ],
  },
};

export type ArchiveDeps = Send & { readonly sql: Knex; readonly buildSecrets: BuildSecrets };

/** Waits for the tables to know of the archiving, so that nothing requested before it is missed. */
export function endArchived(deps: ArchiveDeps): Effect {
  return {
    name: 'archive',
    atOnce: 2,
    async run(data, signal) {
      const position = BigInt(textOf(data, 'position'));
      await tablesHave(deps.sql, position, signal);
      await endWorkOf(deps, textOf(data, 'appId'));
    },
  };
}

/** Cancels the ingestion and builds of an archived app, and stops its launches. */
export async function endWorkOf(deps: ArchiveDeps, appId: string): Promise<void> {
  const { sql, store, clock } = deps;
  const described = await stateOf(store, repository, appId);
  const event = described?.events.at(-1);
  if (event === undefined || described?.state.status !== 'archived') return;
  const metadata = causedBy(event, clock);
  const { time: at } = metadata;
  const cancelIngestion = { type: 'CancelIngestion', data: { appId, at } } as const;
  await attempt(deps, ingestion, appId, cancelIngestion, metadata, ['ingestion/not-in-progress']);
  const builds = await sql('apps_builds')
    .where({ app_id: appId })
    .whereIn('status', ['queued', 'running'])
    .limit(rowsMax)
    .pluck('build_id');
  for (const buildId of builds) {
    const command = { type: 'CancelBuild', data: { buildId, at } } as const;
    await attempt(deps, build, buildId, command, metadata, ['build/already-finished']);
  }
  await removeSecretsOf(deps, appId);
  const launches = await sql('apps_launches')
    .where({ app_id: appId })
    .whereNotIn('status', ['stopping', 'stopped', 'expired', 'failed'])
    .limit(rowsMax)
    .pluck('launch_id');
  for (const launchId of launches) {
    const because = 'The app was archived.';
    const command = { type: 'StopLaunch', data: { launchId, reason: 'stopped', because, at } } as const;
    await attempt(deps, launch, launchId, command, metadata, ['launch/already-ended']);
  }
}
