/**
 * What a build of the classic builder leaves that does not succeed: the image of its last good step, on which the next attempt
 * goes on. The engine puts labels on with the last steps only, so this one is given a name as the build goes along; by that
 * name it is found again, also when nobody was left to say that the build had failed.
 */
import { unless } from './docker-found.ts';
import type { Engine } from './docker-types.ts';

const repository = 'apphub-cache';
/** Clocks of engines may be a little behind. */
const clockMsMax = 5 * 60_000;

/** `*` for a build is a pattern that all of them match. */
export const leftoverTag = ({ instance }: Engine, buildId: string) =>
  `${repository}:${instance.replace(/[^A-Za-z0-9_.-]/g, '-')}.${buildId}`;

export type Leftover = {
  /** The engine has said a line; where it names the image of a step, that one is what would be left. */
  heard(line: string): void;
  /** The build has succeeded: nothing is left that its image does not keep. */
  forget(): Promise<void>;
};

/** The build does not wait for any of this, and does not fail with it. */
export function openLeftover(engine: Engine, buildId: string | undefined): Leftover {
  const begun = Date.now() - clockMsMax;
  let tip = '';
  let isNamed = false;
  let work: Promise<unknown> = Promise.resolve();
  const note = async (shortId: string) => {
    const image = engine.api.getImage(shortId);
    const { Id, Parent, Created } = await image.inspect();
    // What a step prints may look like an image of ours: only what stands on the one before, and is new, is taken for it.
    const isNext = tip !== '' && Parent === tip;
    tip = Id;
    if (buildId === undefined || !isNext || Date.parse(Created) < begun) return;
    const [repo = '', tag = ''] = leftoverTag(engine, buildId).split(':');
    await image.tag({ repo, tag });
    isNamed = true;
  };
  return {
    heard(line) {
      const shortId = /^ ---> ([0-9a-f]{12})$/.exec(line)?.[1];
      if (shortId !== undefined) work = work.then(() => note(shortId)).catch(() => undefined);
    },
    async forget() {
      await work;
      if (!isNamed || buildId === undefined) return;
      await engine.api
        .getImage(leftoverTag(engine, buildId))
        .remove({ noprune: true })
        .catch(unless(404, 409));
    },
  };
}
