/**
 * What is to be known of an image before it is run: who it runs as in numbers, and which folders it declares as volumes.
 *
 * Names of users mean what the image's own /etc/passwd says, and there even a number may be the name of another user. So that
 * file is read, from a container that is made for it and never started. An image never changes: each is asked once in a process.
 */
import path from 'node:path';
import { type TarEntry, untar } from './docker-archive.ts';
import { isStatus, unless } from './docker-found.ts';
import { labelOf } from './docker-labels.ts';
import { type Engine, LaunchFailure } from './docker-types.ts';

const imagesMax = 500;
const volumesMax = 32;
const passwdBytesMax = 1024 * 1024;
const linksMax = 8;

export type ImageUser = { readonly uid: number; readonly gid: number };

export type ImageFacts = {
  /** Null: it runs as root. */
  readonly user: ImageUser | null;
  readonly env: readonly string[];
  readonly volumes: readonly ImageVolume[];
  /** The contents of its /etc/passwd, for whoever else it is to be run as. */
  readonly passwd: Passwd;
};

/** A folder it declares as a volume, and whether it brings anything in there. */
export type ImageVolume = { readonly path: string; readonly isEmpty: boolean };

const asked = new WeakMap<Engine, Map<string, Promise<ImageFacts>>>();

export function imageFacts(engine: Engine, image: string): Promise<ImageFacts> {
  const cache = asked.get(engine) ?? new Map<string, Promise<ImageFacts>>();
  asked.set(engine, cache);
  const before = cache.get(image);
  if (before !== undefined) return before;
  const facts = lookInto(engine, image);
  // A tag may mean another image tomorrow.
  if (image.startsWith('sha256:')) cache.set(image, facts);
  facts.catch(() => cache.delete(image));
  for (const oldest of cache.keys()) {
    if (cache.size <= imagesMax) break;
    cache.delete(oldest);
  }
  return facts;
}

async function lookInto(engine: Engine, image: string): Promise<ImageFacts> {
  const { Id: imageId, Config: config } = await engine.api.getImage(image).inspect();
  const paths = [...new Set(Object.keys(config.Volumes ?? {}).map(plainPath))];
  if (paths.length > volumesMax) {
    throw new LaunchFailure(`The image declares ${paths.length} volumes; ${volumesMax} are the most`);
  }
  return await inContainerOf(engine, imageId, async containerId => {
    const passwd = parsePasswd(await readText(engine, containerId, '/etc/passwd'));
    const volumes = await Promise.all(
      paths.map(async one => ({ path: one, isEmpty: await isEmpty(engine, containerId, one) })),
    );
    return { user: userOf(config.User ?? '', passwd), env: config.Env ?? [], volumes, passwd };
  });
}

const plainPath = (given: string): string => path.posix.join('/', given).replace(/(.)\/+$/, '$1');

/** One that a crash leaves behind is found by its label. */
async function inContainerOf<T>(
  engine: Engine,
  imageId: string,
  look: (containerId: string) => Promise<T>,
): Promise<T> {
  const container = await engine.api.createContainer({
    Image: imageId,
    Entrypoint: ['/never'],
    Cmd: [],
    Labels: { [labelOf.instance]: engine.instance, [labelOf.look]: imageId },
    HostConfig: { NetworkMode: 'none' },
  });
  try {
    return await look(container.id);
  } finally {
    await container.remove({ force: true, v: true }).catch(unless(404, 409));
  }
}

/** Names and numbers of users, in the order of the file: the first that fits counts. */
export type Passwd = readonly { readonly name: string; readonly uid: number; readonly gid: number }[];

export function parsePasswd(text: string): Passwd {
  const lines = text.split('\n').map(line => line.trim());
  return lines
    .filter(line => line !== '')
    .map(line => {
      const [name = '', , uid = '', gid = ''] = line.split(':');
      // As the engine reads them: what is no number, or is missing, is zero.
      return { name, uid: numberOf(uid) ?? 0, gid: numberOf(gid) ?? 0 };
    });
}

function numberOf(text: string): number | undefined {
  return /^\d{1,10}$/.test(text) ? Number(text) : undefined;
}

/** Null: root. Follows the engine: a user is looked for by name first, even one that looks like a number. */
export function userOf(given: string, passwd: Passwd): ImageUser | null {
  const [user = '', group = ''] = given.split(':');
  if (user === '') return null;
  const number = numberOf(user);
  const found = passwd.find(({ name, uid }) => name === user || uid === number);
  const uid = found?.uid ?? number;
  if (uid === undefined) throw new LaunchFailure(`The user "${user}" of the image is not in its /etc/passwd`);
  return uid === 0 ? null : { uid, gid: numberOf(group) ?? found?.gid ?? 0 };
}

/** The text of a file, through links; empty where there is none. */
async function readText(engine: Engine, containerId: string, file: string): Promise<string> {
  let at = file;
  for (let links = 0; links < linksMax; links += 1) {
    const [entry] = await entriesOf(engine, containerId, at, 1);
    if (entry === undefined || entry.kind === 'other') return '';
    if (entry.kind === 'file') {
      if (entry.content.length < passwdBytesMax) return entry.content.toString('utf8');
      throw new LaunchFailure(`${file} of the image is larger than ${passwdBytesMax} bytes`);
    }
    at = path.posix.resolve(path.posix.dirname(at), entry.link);
  }
  return '';
}

/** A folder that is not there yet is empty too. */
async function isEmpty(engine: Engine, containerId: string, folder: string): Promise<boolean> {
  return (await entriesOf(engine, containerId, folder, 2)).length < 2;
}

/** The first entries of what is at this path: of a folder itself and what is in it. */
async function entriesOf(engine: Engine, container: string, at: string, count: number): Promise<TarEntry[]> {
  try {
    const stream = await engine.api.getContainer(container).getArchive({ path: at });
    const entries: TarEntry[] = [];
    for await (const entry of untar(stream, passwdBytesMax)) {
      if (entries.push(entry) === count) break;
    }
    return entries;
  } catch (error) {
    if (isStatus(error, 404)) return [];
    throw error;
  }
}
