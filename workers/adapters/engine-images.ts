/** Images come to the engine they are needed on: from an engine that has them, else from the registry. */
import { LaunchFailure, type PushedImage } from './docker-types.ts';
import type { Member } from './engine-member.ts';
import { type HeldImage, NoEngine } from './engine-types.ts';

export type ImagePlaces = { readonly image: HeldImage; readonly holders: readonly Member[] };

/** Who has it of those that answer. Undefined: none of them. */
export async function findHolders(
  members: readonly Member[],
  image: string,
): Promise<ImagePlaces | undefined> {
  const look = async (member: Member) => ({
    member,
    image: await member.ask(docker => docker.imageOf(image)).catch(() => undefined),
  });
  const found = await Promise.all(members.map(look));
  const first = found.find(one => one.image !== undefined)?.image;
  if (first === undefined) return undefined;
  // A tag may mean another image elsewhere.
  const holders = found.filter(one => one.image?.imageId === first.imageId).map(({ member }) => member);
  return { image: first, holders };
}

type Wanted = {
  readonly image: string;
  /** Where it is in a registry, if it is in one. */
  readonly inRegistry: () => Promise<PushedImage | undefined>;
};

/** Resolves once the engine has the image. What is on its way already is waited for. */
export type BringImage = (to: Member, wanted: Wanted) => Promise<void>;

export function imageCarrier(members: readonly Member[]): BringImage {
  const underWay = new Map<string, Promise<void>>();
  return (to, wanted) => {
    const key = `${to.config.name} ${wanted.image}`;
    const before = underWay.get(key);
    if (before !== undefined) return before;
    const bringing = bring(members, to, wanted).finally(() => underWay.delete(key));
    underWay.set(key, bringing);
    return bringing;
  };
}

async function bring(members: readonly Member[], to: Member, { image, inRegistry }: Wanted): Promise<void> {
  if ((await to.ask(docker => docker.imageOf(image))) !== undefined) return;
  const pushed = await inRegistry();
  const why: string[] = [];
  if (pushed !== undefined) {
    try {
      return await pull(to, image, pushed);
    } catch (error) {
      if (error instanceof NoEngine) throw error;
      why.push(error instanceof Error ? error.message : String(error));
    }
  }
  const places = await findHolders(members, image);
  const [from] = places?.holders ?? [];
  if (places !== undefined && from !== undefined) return carry(from, to, places.image);
  if (members.some(member => member.away() !== undefined)) {
    throw new NoEngine(['The image is on none of the engines that answer', ...why].join('. '));
  }
  const reason = ['The image of this build is no longer there', ...why].join('. ');
  throw new LaunchFailure(reason, { retryable: why.length > 0 });
}

async function pull(to: Member, image: string, pushed: PushedImage): Promise<void> {
  const { imageId } = await to.ask(docker => docker.pullImage(pushed, new AbortController().signal));
  if (!image.startsWith('sha256:') || imageId === image) return;
  throw new Error(`${pushed.repository}@${pushed.digest} is not the image that was built`);
}

/** No more of it is held here than the two engines take at a time. */
async function carry(from: Member, to: Member, { imageId, tags }: HeldImage): Promise<void> {
  try {
    const archive = await from.ask(docker => docker.exportImage(imageId));
    await to.ask(docker => docker.importImage(archive, imageId, tags));
  } catch (error) {
    if (error instanceof NoEngine) throw error;
    const why = error instanceof Error ? error.message : String(error);
    const way = `from ${from.config.name} to ${to.config.name}`;
    throw new LaunchFailure(`The image did not come ${way}: ${why}`, { retryable: true, cause: error });
  }
}
