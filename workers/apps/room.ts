/**
 * How many launches may have a container: in all, of one app, of one owner. Where there are as many already, the one that was
 * visited longest ago goes to sleep for the new one, and is told why; its next visitor wakes it again.
 */
import type { Knex } from 'knex';
import { deriveId } from '../../commands/derive-id.ts';
import { launch } from '../../domain/apps/launch.ts';
import { actor, attempt, type Send } from '../effect.ts';

/** Statuses in which a launch has a container, or is about to. */
const awake = ['starting', 'running', 'waking', 'restarting'];

export type RoomLimits = { readonly max: number; readonly perAppMax: number; readonly perOwnerMax: number };

/** Those that are let in by this process and may not be in the tables yet, each with whose it is. */
export type Room = RoomLimits & { readonly let: Map<string, Guest> };

type Guest = { readonly launchId: string; readonly appId: string; readonly owner: string };

export const openRoom = (limits: RoomLimits): Room => ({ ...limits, let: new Map() });

/** There is no room, and nobody who could make some. The launch waits; it is tried again. */
export class NoRoom extends Error {
  override readonly name = 'NoRoom';
}

/**
 * Lets a launch in, making room where there is none. The answer ends its being counted beside the tables. One at a time in a
 * process; of several processes each may let one more in than there is room for.
 */
export async function makeRoom(deps: Send & { sql: Knex; room: Room }, guest: Guest): Promise<() => void> {
  const { room } = deps;
  const entry = (underWay.get(room) ?? Promise.resolve()).then(() => admit(deps, guest));
  const settled = entry.then(
    () => undefined,
    () => undefined,
  );
  underWay.set(room, settled);
  await entry;
  return () => void room.let.delete(guest.launchId);
}

const underWay = new WeakMap<Room, Promise<void>>();

type Row = { launch_id: string; app_id: string; owner: string; status: string; serving: number | null };

async function admit(deps: Send & { sql: Knex; room: Room }, guest: Guest): Promise<void> {
  const { room } = deps;
  const rules = [
    { max: room.perAppMax, of: 'of this app', isOne: (row: Row) => row.app_id === guest.appId },
    { max: room.perOwnerMax, of: `of ${guest.owner}`, isOne: (row: Row) => row.owner === guest.owner },
    { max: room.max, of: 'of all', isOne: () => true },
  ];
  const rows = await presentRows(deps, guest.launchId);
  const gone = new Set<string>();
  for (const { max, of, isOne } of rules) {
    const present = rows.filter(row => isOne(row) && !gone.has(row.launch_id));
    const because = `${max} launches ${of} may run at once, and this one was visited longest ago.`;
    let tooMany = present.length + 1 - max;
    for (const row of present) {
      if (tooMany <= 0) break;
      if (row.status !== 'running' || row.serving === null) continue;
      await evict(deps, row, guest, because);
      gone.add(row.launch_id);
      tooMany -= 1;
    }
    if (tooMany > 0) throw new NoRoom(`${max} launches ${of} are starting already`);
  }
  room.let.set(guest.launchId, guest);
}

/** Everyone who has a container, the one that was visited longest ago first. */
async function presentRows({ sql, room }: { sql: Knex; room: Room }, except: string): Promise<Row[]> {
  const rows: Row[] = await sql('apps_launches as l')
    .leftJoin('preview_activity as v', 'v.launch_id', 'l.launch_id')
    .whereIn('l.status', awake)
    .whereNot('l.launch_id', except)
    .orderByRaw('greatest(l.running_at, v.last_visit_at) nulls last')
    .select('l.launch_id', 'l.app_id', 'l.owner', 'l.status', 'l.serving');
  const known = new Set(rows.map(({ launch_id: id }) => id));
  for (const { launchId, appId, owner } of room.let.values()) {
    if (known.has(launchId) || launchId === except) continue;
    rows.push({ launch_id: launchId, app_id: appId, owner, status: 'starting', serving: null });
  }
  return rows;
}

async function evict(
  deps: Send,
  { launch_id: launchId, serving }: Row,
  guest: Guest,
  because: string,
): Promise<void> {
  const time = deps.clock.now();
  const causationId = deriveId('evicted', launchId, guest.launchId, time);
  const metadata = { actor, correlationId: causationId, causationId, time };
  const data = { launchId, deployment: serving ?? 0, reason: 'evicted', because, at: time } as const;
  await attempt(deps, launch, launchId, { type: 'SleepLaunch', data }, metadata, ['launch/already-ended']);
}
