/**
 * A look into a checkout: from what the app is built, what it is called, how it is tagged, what it looks like. Only reads, and
 * only inside the folder; nothing of the repository is run. What it finds is what IngestionSucceeded tells.
 */
import type { Inspection } from '../../../domain/apps/ingestion.ts';
import type { SourcedTag } from '../../../domain/apps/tag.ts';
import { tagKeyPattern, tagValueCharsMax } from '../../../domain/kernel/limits.ts';
import { openCheckout } from './checkout.ts';
import { tagsOfDockerfile } from './dockerfile-tags.ts';
import { findDockerfile } from './find-dockerfile.ts';
import { readManifests } from './manifests.ts';
import { findPictures, type Picture } from './pictures.ts';
import { readReadme } from './readme.ts';
import { readTagsFile } from './tags-file.ts';

/** Less than an app may hold, so that people can always add their own. */
export const tagsFoundMax = 100;

export type Inspected = {
  inspection: Inspection;
  /** The bytes of the previews that are files of the repository, to be stored under their checksums. */
  pictures: Picture[];
  /** What was left out and what would be right, in one sentence each. */
  warnings: string[];
};

export type InspectRequest = {
  /** A folder as cloneRepository leaves it. */
  directory: string;
  /** The Dockerfile the owner declared; left out or null: it is looked for. */
  dockerfilePath?: string | null | undefined;
  signal?: AbortSignal | undefined;
};

/** Throws an InspectionFailure, with a message for the owner, when no image could be built from the checkout. */
export async function inspectCheckout({
  directory,
  dockerfilePath,
  signal,
}: InspectRequest): Promise<Inspected> {
  const checkout = await openCheckout(directory);
  const found = await findDockerfile(checkout, dockerfilePath ?? undefined, signal);
  signal?.throwIfAborted();
  const manifests = await readManifests(checkout, found.path);
  const tagsFile = await readTagsFile(checkout, found.path);
  signal?.throwIfAborted();
  const readme = await readReadme(checkout, found.path);
  const pictures = await findPictures(checkout, found.path, readme);
  signal?.throwIfAborted();

  const packageName = manifests.package?.name ?? null;
  const inspection: Inspection = {
    dockerfilePath: found.path,
    title: readme?.title ?? (packageName?.startsWith('@') ? null : packageName),
    description: readme?.description ?? manifests.package?.description ?? null,
    homepage: manifests.package?.homepage ?? null,
    tags: mergeTags([tagsFile.tags, manifests.tags, tagsOfDockerfile(found.dockerfile)]),
    previews: pictures.previews,
    ports: found.dockerfile.ports,
    healthcheck: found.dockerfile.healthcheck,
  };
  return { inspection, pictures: pictures.pictures, warnings: [...tagsFile.warnings, ...pictures.warnings] };
}

/** Each tag once, from the source that comes first. A base image of JavaScript says less than a manifest of TypeScript. */
function mergeTags(lists: readonly (readonly SourcedTag[])[]): SourcedTag[] {
  const keyPattern = new RegExp(tagKeyPattern);
  const tags = new Map<string, SourcedTag>();
  const all = lists.flat();
  const isTypescript = all.some(({ key, value }) => key === 'language' && value === 'typescript');
  for (const tag of all) {
    const isGuess = tag.source === 'auto:dockerfile' && tag.key === 'language' && tag.value === 'javascript';
    if (isTypescript && isGuess) continue;
    const name = `${tag.key}:${tag.value}`;
    const isFine = keyPattern.test(tag.key) && Array.from(tag.value).length <= tagValueCharsMax;
    if (isFine && !tags.has(name) && tags.size < tagsFoundMax) tags.set(name, tag);
  }
  return [...tags.values()];
}
