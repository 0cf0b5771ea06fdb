/** The app another aggregate's command is about: it must be there and not archived. */
import { type RepositoryState, repository } from '../../domain/apps/repository.ts';
import { Refusal } from '../../domain/kernel/refusal.ts';
import type { EventStore } from '../../eventstore/store.ts';
import { stateOf } from '../execute.ts';

export type PresentApp = Exclude<RepositoryState, { status: 'absent' }>;

/** Refuses with not-found or archived. */
export async function presentApp(store: EventStore, appId: string): Promise<PresentApp> {
  const found = await stateOf(store, repository, appId);
  if (found === null || found.state.status === 'absent') throw new Refusal('not-found', { appId });
  if (found.state.status === 'archived') throw new Refusal('archived', { appId });
  return found.state;
}
