/** What an engine has, and how images come from one engine to another where no registry stands between them. */
import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { isStatus } from './docker-found.ts';
import type { Machine } from './docker-store-types.ts';
import type { Engine } from './docker-types.ts';
import type { HeldImage } from './engine-types.ts';

const messageCharsMax = 64 * 1024;

/** What the daemon calls a machine, in the words of images. */
const architectures: Readonly<Record<string, string>> = {
  x86_64: 'amd64',
  aarch64: 'arm64',
  armv7l: 'arm',
  i686: '386',
};

export async function machine(engine: Engine): Promise<Machine> {
  const { NCPU: cpus, MemTotal: memoryBytes, OSType: os, Architecture: kind } = await engine.api.info();
  return { cpus, memoryBytes, platform: `${os}/${architectures[kind] ?? kind}` };
}

export async function imageOf(engine: Engine, image: string): Promise<HeldImage | undefined> {
  try {
    const {
      Id: imageId,
      Os: os,
      Architecture: machine,
      RepoTags: tags,
    } = await engine.api.getImage(image).inspect();
    return { imageId, platform: `${os}/${machine}`, tags: tags ?? [] };
  } catch (error) {
    if (isStatus(error, 404)) return undefined;
    throw error;
  }
}

export function exportImage(engine: Engine, imageId: string): Promise<NodeJS.ReadableStream> {
  return engine.api.getImage(imageId).get();
}

/** No more of the archive is held here than the two ends take at a time. */
export async function importImage(
  engine: Engine,
  archive: NodeJS.ReadableStream,
  imageId: string,
  tags: readonly string[],
): Promise<void> {
  const body = new PassThrough();
  const sending = pipeline(archive, body);
  // An engine that refuses the archive says so before it has read all of it.
  sending.catch(() => undefined);
  try {
    const answer = await engine.api.loadImage(body, { quiet: true });
    let said = '';
    answer.on('data', chunk => {
      said = (said + String(chunk)).slice(-messageCharsMax);
    });
    await once(answer, 'end');
    await sending;
    if (said.includes('"errorDetail"')) throw new Error(`the engine does not take the image: ${said.trim()}`);
  } finally {
    body.destroy();
  }
  for (const tag of tags) {
    const colon = tag.lastIndexOf(':');
    await engine.api.getImage(imageId).tag({ repo: tag.slice(0, colon), tag: tag.slice(colon + 1) });
  }
}
