/**
 * Reaching into volumes without a program inside: a container that mounts them is made and never started, and the engine reads
 * and writes archives in it. What is in an archive can do nothing there but lie in that container and its mounts.
 */
import { Readable } from 'node:stream';
import type Dockerode from 'dockerode';
import { isStatus, unless } from './docker-found.ts';
import { labelOf } from './docker-labels.ts';
import type { Engine } from './docker-types.ts';
import type { WorkspaceSet } from './docker-workspace-types.ts';

const emptyTarBytes = 1_024;
const triesMax = 3;

type Wanted = {
  readonly set: WorkspaceSet;
  /** What it is for; two at once for the same set have different names. */
  readonly what: 'pack' | 'unpack' | 'prepare' | 'look';
  /** The image it is made of; by default one with nothing in it, so that no app's image has to be kept for its data. */
  readonly image?: string;
  readonly mounts: readonly Dockerode.MountSettings[];
};

type Hand = { readonly container: Dockerode.Container; close(): Promise<void> };

/** One that was left behind by a crash is removed first: it holds nothing of value. */
export async function openHand(engine: Engine, wanted: Wanted): Promise<Hand> {
  const name = `apphub-hand-${wanted.set.workspaceId}-${wanted.set.generation}-${wanted.what}`;
  await removeHand(engine, name);
  const container = await makeHand(engine, name, wanted);
  return { container, close: () => removeHand(engine, container.id) };
}

async function makeHand(engine: Engine, name: string, wanted: Wanted): Promise<Dockerode.Container> {
  const { set, what, image, mounts } = wanted;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await engine.api.createContainer({
        name,
        Image: image ?? nothingOf(engine),
        Entrypoint: ['/never'],
        Cmd: [],
        Labels: {
          [labelOf.instance]: engine.instance,
          [labelOf.hand]: what,
          [labelOf.workspace]: set.workspaceId,
          [labelOf.generation]: String(set.generation),
        },
        HostConfig: { NetworkMode: 'none', Mounts: [...mounts] },
      });
    } catch (error) {
      if (image !== undefined || !isStatus(error, 404) || attempt === triesMax) throw error;
      await importNothing(engine);
    }
  }
}

async function removeHand(engine: Engine, name: string): Promise<void> {
  // Volumes that the image declares and nobody asked for go with it; those of workspaces have names, and stay.
  await engine.api.getContainer(name).remove({ force: true, v: true }).catch(unless(404, 409));
}

/** Hands that were left behind by work with this set. */
export async function removeHandsOf(engine: Engine, set: WorkspaceSet): Promise<void> {
  const label = [
    `${labelOf.instance}=${engine.instance}`,
    labelOf.hand,
    `${labelOf.workspace}=${set.workspaceId}`,
    `${labelOf.generation}=${set.generation}`,
  ];
  const left = await engine.api.listContainers({ all: true, filters: { label } });
  for (const { Id } of left) await removeHand(engine, Id);
}

const nothingOf = ({ instance }: Engine) => `apphub-nothing:${instance.replace(/[^A-Za-z0-9_.-]/g, '-')}`;

/** An image without a file. The engine makes it of an empty archive; no registry is asked. */
async function importNothing(engine: Engine): Promise<void> {
  const [repo = '', tag = ''] = nothingOf(engine).split(':');
  const changes = `LABEL ${labelOf.instance}=${JSON.stringify(engine.instance)}`;
  const archive = Readable.from([Buffer.alloc(emptyTarBytes)]);
  const output = await engine.api.importImage(archive, { repo, tag, changes });
  await new Promise<void>((resolve, reject) =>
    engine.api.modem.followProgress(output, error => (error ? reject(error) : resolve())),
  );
}
