/**
 * A history in which everything happens: events of every type, in any order, to few apps, builds, launches, workspaces and host
 * names, by clocks that differ. The same for the same seed, but for its times.
 */
import type { EventType, PlatformEvent } from '../../domain/events.ts';
import type { NewEvent } from '../../eventstore/store.ts';
import { type Chance, openChance } from '../bench/support/chance.ts';
import { newEvent } from '../contract/eventstore.ts';
import { sampleEvents } from './recorded.ts';

export const busyApps = ['todo', 'shop', 'wiki', 'chat', 'maps'];
const uuids = (kind: number, count: number) =>
  Array.from({ length: count }, (_, n) => `0000000${kind}-0000-8000-8000-${String(n).padStart(12, '0')}`);
export const busyBuilds = uuids(1, 12);
export const busyLaunches = uuids(2, 10);
export const busyWorkspaces = uuids(3, 6);
const snapshots = uuids(4, 8);
const hosts = ['shop.example.org', 'www.example.org', 'a.example.net'];
const words = ['node', 'go', 'web', 'Ärger', 'two words', 'x'];
const clocksDifferMsMax = 3_000;

/** Things belong to the same app for ever. */
const appOf = (ids: readonly string[], id: string) => busyApps[ids.indexOf(id) % busyApps.length] ?? 'todo';

/** Types that come more often than others, as they do. */
const often: readonly EventType[] = [
  'RepositoryRegistered',
  'RepositoryTagged',
  'RepositoryUntagged',
  'IngestionQueued',
  'IngestionStarted',
  'IngestionSucceeded',
  'BuildRequested',
  'BuildStarted',
  'BuildSucceeded',
  'LaunchRequested',
  'LaunchStarting',
  'LaunchRunning',
  'WorkspaceCreated',
];
const never: readonly EventType[] = ['ProjectionRebuildRequested', 'ProjectionRollbackRequested'];

/** Of what happens, one after another. The first ones register all apps. */
export function busyHistory(seed: number): () => { stream: string; event: NewEvent } {
  const chance = openChance(seed);
  const types = (Object.keys(sampleEvents) as EventType[]).filter(type => !never.includes(type));
  let made = 0;
  return () => {
    made += 1;
    const first = busyApps[made - 1];
    const type = first === undefined ? chance.of(chance.is(0.6) ? often : types) : 'RepositoryRegistered';
    const data = happened(chance, type, first);
    const context = 'appId' in data || 'host' in data ? 'apps' : 'access';
    return { stream: `${context}.busy-${made}`, event: newEvent(data as never, type) };
  };
}

function happened(chance: Chance, type: EventType, appId: string | undefined): object {
  const data: Record<string, unknown> = structuredClone(sampleEvents[type] as PlatformEvent['data']) as never;
  const put = (field: string, value: unknown) => {
    if (field in data) data[field] = value;
  };
  put('at', new Date(Date.now() + chance.below(2 * clocksDifferMsMax) - clocksDifferMsMax).toISOString());
  put('appId', appId ?? chance.of(busyApps));
  for (const [field, ids] of [
    ['buildId', busyBuilds],
    ['workspaceId', busyWorkspaces],
    ['launchId', busyLaunches],
  ] as const) {
    const id = chance.of(ids);
    put(field, id);
    if (field in data) put('appId', appOf(ids, id));
  }
  put('snapshotId', chance.of(snapshots));
  put('host', chance.of(hosts));
  put('run', 1 + chance.below(4));
  put('deployment', 1 + chance.below(3));
  put('generation', 1 + chance.below(3));
  put('name', chance.of(words));
  put('owner', chance.is(0.3) ? null : chance.of(['ann', 'bo']));
  if (type.startsWith('Launch') || type.startsWith('Workspace') || type.startsWith('Session'))
    put('owner', 'ann');
  if (type.startsWith('ApiKey')) put('owner', 'ann');
  put('tag', { key: chance.of(['language', 'kind']), value: chance.of(words) });
  put(
    'tags',
    words.filter(() => chance.is(0.4)).map(value => ({ key: 'language', value })),
  );
  if (typeof data.inspection === 'object')
    data.inspection = { ...data.inspection, tags: words.filter(() => chance.is(0.5)).map(found) };
  put('description', words.filter(() => chance.is(0.5)).join(' '));
  return data;
}

const found = (value: string) => ({ key: 'framework', value, source: 'auto:package' });
