/**
 * Images go by policy: so many of an app are kept, what is not used for longest goes when room is needed, and what no build knows
 * any more goes in any case. What the engines hold and what the log says are made to agree, both ways.
 *
 * An image is first said to go, so that nobody launches it any more, and taken from the engines a while later: whoever was about
 * to launch it has said so by then, and keeps it.
 */
import type { Knex } from 'knex';
import { deriveId } from '../../commands/derive-id.ts';
import { execute, stateOf } from '../../commands/execute.ts';
import { type BuildCommand, build } from '../../domain/apps/build.ts';
import { engine as engineStream } from '../../domain/apps/engine.ts';
import { Refusal } from '../../domain/kernel/refusal.ts';
import { faultPoint } from '../../platform/fault.ts';
import type { EngineImage } from '../adapters/docker-store-types.ts';
import type { Docker } from '../adapters/docker-types.ts';
import { actor, type Send } from '../effect.ts';

const rowsMax = 1_000;
/** From its being said to go until an image is taken: no command is under way for as long. */
const graceMsMin = 2_000;
/** What was kept after all is left alone for so long. */
const againMsMin = 10 * 60_000;
const over = ['stopped', 'expired', 'failed'];

export type ImageDeps = Send & {
  readonly sql: Knex;
  readonly docker: Docker;
  /** How many images of an app are kept. */
  readonly perAppMax: number;
  /** What was made so recently may be of a build that is not known here yet, or that is about to be told. */
  readonly strangerMsMin: number;
  /** How long what a failed build has left is of use to the next one. */
  readonly leftoverMsMax: number;
};

type Row = { build_id: string; app_id: string; image_id: string };
type Reason = Extract<BuildCommand, { type: 'RemoveBuildImage' }>['data']['reason'];

/** Which builds have an image that somebody needs: a launch that is not over, or an app as what it is launched with. */
function needed(sql: Knex): Knex.QueryBuilder {
  return sql
    .select('l.build_id')
    .from('apps_launches as l')
    .whereNotIn('l.status', over)
    .unionAll([
      sql
        .select('d.build_id')
        .from('apps_deployments as d')
        .join('apps_launches as l', 'l.launch_id', 'd.launch_id')
        .whereIn('d.status', ['coming', 'serving', 'retiring'])
        .whereNotIn('l.status', over),
      sql
        .select(sql.raw("release->>'buildId'"))
        .from('apps_repositories')
        .where('archived', false)
        .whereRaw("release->>'buildId' is not null"),
    ]);
}

/** Those that may go: they are there, nobody needs them, and it was not tried a moment ago. */
function idle({ sql, clock }: ImageDeps): Knex.QueryBuilder {
  const before = new Date(Date.parse(clock.now()) - againMsMin).toISOString();
  return sql
    .select('build_id')
    .from('apps_images')
    .where('place', 'present')
    .where(either => either.whereRaw('changed_at = built_at').orWhere('changed_at', '<=', before))
    .whereNotIn('build_id', needed(sql));
}

/** The newest time that it was built or launched. */
const used = 'greatest(i.used_at, i.built_at)';

/** Takes those from the engines that were said to go a while ago. */
export async function finishRemovals(deps: ImageDeps, images: readonly EngineImage[]): Promise<void> {
  const before = new Date(Date.parse(deps.clock.now()) - graceMsMin).toISOString();
  const going: Row[] = await deps
    .sql('apps_images')
    .where('place', 'removing')
    .where('changed_at', '<=', before)
    .limit(rowsMax)
    .select('build_id', 'app_id', 'image_id');
  if (going.length === 0) return;
  const rows: Pick<Row, 'build_id'>[] = await needed(deps.sql);
  const kept = new Set(rows.map(row => row.build_id));
  for (const { build_id: buildId } of going) {
    const isUsed = kept.has(buildId) || (await removeEverywhere(deps, images, buildId)) === 'used';
    if (!isUsed) faultPoint('image.removed');
    await say(deps, buildId, {
      type: 'ReportBuildImage',
      data: { buildId, isThere: isUsed, at: deps.clock.now() },
    });
    faultPoint('image.told');
  }
}

async function removeEverywhere(
  { docker }: ImageDeps,
  images: readonly EngineImage[],
  buildId: string,
): Promise<'removed' | 'used'> {
  let outcome: 'removed' | 'used' = 'removed';
  for (const image of images) {
    if (image.kind === 'image' && image.buildId === buildId && (await docker.removeImage(image)) === 'used')
      outcome = 'used';
  }
  return outcome;
}

/** Those of archived apps, and those beyond what is kept of an app. The released one and those in use stay, however old. */
export async function chooseByCount(deps: ImageDeps): Promise<void> {
  const { sql } = deps;
  const ranked = sql
    .select('i.build_id', 'r.archived')
    .select(sql.raw(`row_number() over (partition by i.app_id order by ${used} desc, i.build_id) as rank`))
    .from('apps_images as i')
    .leftJoin('apps_repositories as r', 'r.app_id', 'i.app_id')
    .where('i.place', 'present')
    .as('ranked');
  const rows: { build_id: string; archived: boolean | null }[] = await sql
    .from(ranked)
    .where(either => either.where('rank', '>', deps.perAppMax).orWhere('archived', true))
    .whereIn('build_id', idle(deps))
    .limit(rowsMax)
    .select('build_id', 'archived');
  for (const { build_id: buildId, archived } of rows) {
    await saysItGoes(deps, buildId, archived ? 'archived' : 'count');
  }
}

/** The least recently used that nobody needs, until so much will be free. Answers with what they have alone. */
export async function chooseForRoom(
  deps: ImageDeps,
  wantedBytes: number,
  ownBytes: ReadonlyMap<string, number>,
): Promise<number> {
  const rows: Row[] = await deps
    .sql('apps_images as i')
    .whereIn('i.build_id', idle(deps))
    .orderByRaw(`${used}, i.build_id`)
    .limit(rowsMax)
    .select('i.build_id', 'i.app_id', 'i.image_id');
  let bytes = 0;
  for (const { build_id: buildId, image_id: imageId } of rows) {
    if (bytes >= wantedBytes) break;
    await saysItGoes(deps, buildId, 'disk');
    bytes += ownBytes.get(imageId) ?? 0;
  }
  return bytes;
}

async function saysItGoes(deps: ImageDeps, buildId: string, reason: Reason): Promise<void> {
  await say(deps, buildId, { type: 'RemoveBuildImage', data: { buildId, reason, at: deps.clock.now() } });
  faultPoint('image.removing');
}

/** What failed builds have left, where nothing is built on it right now. Answers with what it had alone. */
export async function removeLeftovers(
  deps: ImageDeps,
  ownBytes: ReadonlyMap<string, number>,
): Promise<number> {
  let bytes = 0;
  for (const image of await deps.docker.listImages()) {
    if (image.kind !== 'leftover') continue;
    const status = (await stateOf(deps.store, build, image.buildId))?.state.status;
    if (status === 'queued' || status === 'running') continue;
    if ((await deps.docker.removeImage(image)) === 'removed') bytes += ownBytes.get(image.imageId) ?? 0;
  }
  return bytes;
}

/** Builds whose image was not on any engine the last time either. */
export type Missed = Set<string>;

/**
 * Images that the tables believe in and that no engine has. One look may be wrong: what was just built is not in both at the same
 * time. Those in a registry are fetched again when they are launched.
 */
export async function reportMissing(
  deps: ImageDeps,
  images: readonly EngineImage[],
  missed: Missed,
): Promise<void> {
  const there = new Set(images.filter(({ kind }) => kind === 'image').map(({ buildId }) => buildId));
  const believed: string[] = await deps
    .sql('apps_images as i')
    .join('apps_builds as b', 'b.build_id', 'i.build_id')
    .where('i.place', 'present')
    .whereNull('b.pushed')
    .pluck('i.build_id');
  const missing = believed.filter(buildId => !there.has(buildId));
  for (const buildId of missing.filter(one => missed.has(one))) {
    await say(deps, buildId, {
      type: 'ReportBuildImage',
      data: { buildId, isThere: false, at: deps.clock.now() },
    });
  }
  missed.clear();
  for (const buildId of missing) missed.add(buildId);
}

/** Images that the tables do not believe in: found again, or in nobody's way any more. The log has the last word. */
export async function removeStrangers(deps: ImageDeps, images: readonly EngineImage[]): Promise<void> {
  const ids = [...new Set(images.map(({ buildId }) => buildId))];
  const rows = await deps.sql('apps_images').whereIn('build_id', ids).select('build_id', 'place', 'reason');
  const known = new Map<string, { place: string; reason: string | null }>(
    rows.map(row => [row.build_id, row]),
  );
  for (const image of images) {
    const { kind, buildId } = image;
    const row = known.get(buildId);
    if (kind === 'image' && row !== undefined && row.place !== 'removed') continue;
    if (kind === 'image' && row?.reason === 'missing') {
      await say(deps, buildId, {
        type: 'ReportBuildImage',
        data: { buildId, isThere: true, at: deps.clock.now() },
      });
      continue;
    }
    const because = await whyStranger(deps, image);
    if (because === undefined || (await deps.docker.removeImage(image)) === 'used') continue;
    faultPoint('image.stranger');
    if (kind === 'image') await recordOrphan(deps, image, because);
  }
}

/** Undefined: somebody wants it, or may want it. */
async function whyStranger(
  deps: ImageDeps,
  { kind, buildId, createdAt }: EngineImage,
): Promise<string | undefined> {
  const ageMs = Date.parse(deps.clock.now()) - createdAt.getTime();
  const state = (await stateOf(deps.store, build, buildId))?.state;
  if (state === undefined) return ageMs > deps.strangerMsMin ? 'The log has no build of this id.' : undefined;
  if (state.status !== 'finished') return undefined;
  if (kind === 'leftover') {
    // On what a failed build has left the next one goes on.
    return state.built === null && ageMs < deps.leftoverMsMax ? undefined : 'Its build is over.';
  }
  if (state.built === null) return 'Its build ended without it.';
  return state.image.place === 'removed' ? 'It was removed before.' : undefined;
}

async function recordOrphan(
  deps: ImageDeps,
  { engine, imageId: name }: EngineImage,
  reason: string,
): Promise<void> {
  const at = deps.clock.now();
  const causationId = deriveId('orphan', engine, 'image', name);
  const metadata = { actor, correlationId: causationId, causationId, time: at };
  const data = { engine, at, kind: 'image', name, launchId: null, reason } as const;
  await execute(deps.store, engineStream, engine, { type: 'RecordOrphan', data }, metadata);
}

/** What the build itself refuses has been overtaken: it knows best. */
async function say(deps: ImageDeps, buildId: string, command: BuildCommand): Promise<void> {
  const time = deps.clock.now();
  const causationId = deriveId('image', buildId, time);
  const metadata = { actor, correlationId: causationId, causationId, time };
  try {
    await execute(deps.store, build, buildId, command, metadata);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
  }
}
