/** Whether anything more may be started, asked of the log before something is. */
import { quota, refuseOverQuota } from '../../domain/apps/quota.ts';
import type { EventStore } from '../../eventstore/store.ts';
import { quotaIdOf } from '../derive-id.ts';
import { stateOf } from '../execute.ts';

/** Refuses while the launches of this owner, or all of them, have used what they may. */
export async function refuseUsedUp(store: EventStore, owner: string, at: string): Promise<void> {
  for (const whose of [owner, null]) {
    const found = await stateOf(store, quota, quotaIdOf(whose));
    if (found !== null) refuseOverQuota(found.state, whose, at);
  }
}
