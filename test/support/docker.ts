/** The real engine for a test file, under an instance name of its own, and everything gone afterwards. */
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import Dockerode from 'dockerode';
import { openLogger } from '../../platform/log.ts';
import { openDocker } from '../../workers/adapters/docker.ts';
import { labelOf } from '../../workers/adapters/docker-types.ts';

export function openTestDocker() {
  const instance = `test-${randomBytes(4).toString('hex')}`;
  const api = new Dockerode();
  const docker = openDocker({ instance, log: openLogger({ level: 'silent' }) });
  const label = [`${labelOf.instance}=${instance}`];
  const folders: string[] = [];
  return {
    api,
    docker,
    instance,
    /** A folder with these files in it, as a context to build from. */
    async folderOf(files: Record<string, string>): Promise<string> {
      const folder = await mkdtemp(path.join(os.tmpdir(), 'apphub-context-'));
      folders.push(folder);
      for (const [name, text] of Object.entries(files)) {
        await mkdir(path.dirname(path.join(folder, name)), { recursive: true });
        await writeFile(path.join(folder, name), text);
      }
      return folder;
    },
    async cleanUp(): Promise<void> {
      for (const { Id } of await api.listContainers({ all: true, filters: { label } })) {
        await api.getContainer(Id).remove({ force: true, v: true });
      }
      for (const { Id } of await api.listNetworks({ filters: { label } })) await api.getNetwork(Id).remove();
      for (const { Id } of await api.listImages({ filters: { label } })) {
        await api.getImage(Id).remove({ force: true });
      }
      for (const folder of folders) await rm(folder, { recursive: true, force: true });
    },
  };
}
