/** The words of what engines have and what lies on them: images, what failed builds have left, and the room they take. */

/** What an engine's machine has, and what images it runs, as in `linux/amd64`. */
export type Machine = { readonly cpus: number; readonly memoryBytes: number; readonly platform: string };

/** One image of a build of this installation, or what one that did not succeed has left as cache for the next. */
export type EngineImage = {
  readonly engine: string;
  readonly imageId: string;
  readonly kind: 'image' | 'leftover';
  readonly buildId: string;
  /** Layers that it shares with others included. */
  readonly bytes: number;
  readonly createdAt: Date;
};

type ImageSurvey = { readonly images: readonly EngineImage[]; readonly isWhole: boolean };

export type EngineRoom = {
  readonly engine: string;
  /** What all images of this installation take together: layers that they share count once. */
  readonly imageBytes: number;
  /** By its id, what would be free without an image: the layers that no other image of this installation has. */
  readonly ownBytes: ReadonlyMap<string, number>;
  /** BuildKit's cache, whoever has built on the engine; null where it was not asked for. */
  readonly cacheBytes: number | null;
  /** Of the file system that the engine keeps everything on; null where that cannot be seen from here. */
  readonly disk: { readonly folder: string; readonly freeBytes: number } | null;
};

export type EngineStore = {
  /** Every image of this installation, on every engine that answers. */
  listImages(): Promise<EngineImage[]>;
  /** The same, and whether every engine has answered that anybody still waits for: only then is what is missing gone. */
  surveyImages(): Promise<ImageSurvey>;
  /**
   * `removed`: neither it nor its names are there any more. `used`: a container is made of it, also one that does not run.
   * Nothing there is fine.
   */
  removeImage(image: Pick<EngineImage, 'engine' | 'imageId'>): Promise<'removed' | 'used'>;
  /** Engines that do not answer are left out. Looking at the cache is dear on engines of before version 23. */
  rooms(options: { readonly withCache: boolean }): Promise<EngineRoom[]>;
  /** Takes what was used longest ago until not more than this is left. Answers with how much went. */
  pruneCache(engine: string, keepBytes: number): Promise<number>;
};
