/**
 * What becomes of the image of a build that succeeded; in the stream of the build, `apps.build-<id>`.
 *
 *   present ──► removing ──► removed
 *      ▲            │           │
 *      └── kept ────┴───────────┘
 *
 * An image that is wanted away is first said to be, so that nobody launches it any more; then the engine is asked, and what it
 * did is said. One that is missing without having been wanted away is `removed` as well, and `kept` when it is found again.
 */
import { unreachable } from '../kernel/decider.ts';
import { Refusal } from '../kernel/refusal.ts';

/**
 * `count`: its app has newer ones enough. `disk`: room was needed, and nobody had used it for longest. `archived`: its app is.
 * `asked`: somebody wanted it away. `missing`: it was not there any more.
 */
type ImageRemovalReason = 'count' | 'disk' | 'archived' | 'asked' | 'missing';

type OfImage = { buildId: string; appId: string; image: string; imageId: string; bytes: number };

export type BuildImageEvent =
  | { type: 'BuildImageRemoving'; data: OfImage & { reason: ImageRemovalReason; at: string } }
  | { type: 'BuildImageRemoved'; data: OfImage & { reason: ImageRemovalReason; at: string } }
  /** `used`: a launch needs it. `found`: it was thought to be gone, and is there. */
  | { type: 'BuildImageKept'; data: OfImage & { reason: 'used' | 'found'; at: string } };

export type BuildImageCommand =
  | {
      type: 'RemoveBuildImage';
      data: { buildId: string; reason: Exclude<ImageRemovalReason, 'missing'>; at: string };
    }
  /** What an engine said when it was asked for the image, or to remove it. */
  | { type: 'ReportBuildImage'; data: { buildId: string; isThere: boolean; at: string } };

export type BuildImageState = {
  readonly place: 'none' | 'present' | 'removing' | 'removed';
  readonly reason: ImageRemovalReason | null;
};

export const noImage: BuildImageState = { place: 'none', reason: null };
export const presentImage: BuildImageState = { place: 'present', reason: null };

export function evolveImage(event: BuildImageEvent): BuildImageState {
  switch (event.type) {
    case 'BuildImageRemoving':
      return { place: 'removing', reason: event.data.reason };
    case 'BuildImageRemoved':
      return { place: 'removed', reason: event.data.reason };
    case 'BuildImageKept':
      return presentImage;
    default:
      return unreachable(event);
  }
}

/** `image`: what the build made, where it made something. */
export function decideImage(
  { type, data }: BuildImageCommand,
  image: OfImage | null,
  { place, reason }: BuildImageState,
): readonly BuildImageEvent[] {
  const { buildId, at } = data;
  if (image === null) throw new Refusal('build/no-image', { buildId });
  switch (type) {
    case 'RemoveBuildImage':
      return place === 'present'
        ? [{ type: 'BuildImageRemoving', data: { ...image, reason: data.reason, at } }]
        : [];
    case 'ReportBuildImage':
      if (data.isThere) {
        if (place === 'present') return [];
        const why = place === 'removing' ? 'used' : 'found';
        return [{ type: 'BuildImageKept', data: { ...image, reason: why, at } }];
      }
      return place === 'removed'
        ? []
        : [{ type: 'BuildImageRemoved', data: { ...image, reason: reason ?? 'missing', at } }];
    default:
      return unreachable(type);
  }
}
