/** The real engine for a test file, under an instance name of its own, and everything gone afterwards. */
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import Dockerode from 'dockerode';
import { readEngines } from '../../platform/engines-config.ts';
import { openLogger } from '../../platform/log.ts';
import { type DockerOptions, openDocker } from '../../workers/adapters/docker.ts';
import { labelOf } from '../../workers/adapters/docker-labels.ts';
import { BuildFailure, type StartContainerRequest } from '../../workers/adapters/docker-types.ts';
import type { Claims } from '../../workers/adapters/engine-claims.ts';
import type { Engines, OneEngine } from '../../workers/adapters/engine-types.ts';
import { openEngines } from '../../workers/adapters/engines.ts';
import { busyboxImage } from './images.ts';

const buildsMax = 3;

type TestDockerOptions = Pick<DockerOptions, 'sandbox' | 'host' | 'egress'> & { readonly api?: Dockerode };

export function openTestDocker({ api = new Dockerode(), ...options }: TestDockerOptions = {}) {
  const instance = `test-${randomBytes(4).toString('hex')}`;
  const docker = alone(openDocker({ instance, log: openLogger({ level: 'silent' }), ...options }));
  const label = [`${labelOf.instance}=${instance}`];
  const folders: string[] = [];
  /** A folder with these files in it, as a context to build from. */
  async function folderOf(files: Record<string, string>): Promise<string> {
    const folder = await mkdtemp(path.join(os.tmpdir(), 'apphub-context-'));
    folders.push(folder);
    for (const [name, text] of Object.entries(files)) {
      await mkdir(path.dirname(path.join(folder, name)), { recursive: true });
      await writeFile(path.join(folder, name), text);
    }
    return folder;
  }
  return {
    api,
    docker,
    instance,
    folderOf,
    /** The image of these instructions, on top of busybox where they name no base. */
    async imageOf(name: string, ...instructions: string[]): Promise<string> {
      const hasBase = instructions[0]?.startsWith('FROM ');
      const lines = hasBase ? instructions : [`FROM ${busyboxImage}`, ...instructions];
      const request = {
        directory: await folderOf({ Dockerfile: `${lines.join('\n')}\n` }),
        dockerfilePath: 'Dockerfile',
        tag: `apphub/${instance}:${name}`,
        labels: {},
        limits: { cpus: 1, memoryBytes: 256 * 1024 * 1024, timeMsMax: 60_000, contextBytesMax: 10_000 },
        signal: new AbortController().signal,
        onLine: () => {},
      };
      // The same content is the same image: a test beside this one may take it away meanwhile. A job is tried again then.
      for (let attempt = 1; ; attempt += 1) {
        try {
          return (await docker.buildImage(request)).imageId;
        } catch (error) {
          if (!(error instanceof BuildFailure && error.retryable) || attempt === buildsMax) throw error;
        }
      }
    },
    /** Runs a command inside a container and gives back what it printed. */
    async inside(containerId: string, ...Cmd: string[]): Promise<string> {
      const options = { Cmd, AttachStdout: true, AttachStderr: true, Tty: true };
      const exec = await api.getContainer(containerId).exec(options);
      const stream = await exec.start({ hijack: true, stdin: false, Tty: true });
      const chunks: Buffer[] = [];
      for await (const chunk of stream) chunks.push(chunk as Buffer);
      return Buffer.concat(chunks).toString('utf8').replaceAll('\r\n', '\n');
    },
    async cleanUp(): Promise<void> {
      for (const { Id } of await api.listContainers({ all: true, filters: { label } })) {
        await api.getContainer(Id).remove({ force: true, v: true });
      }
      for (const { Id } of await api.listNetworks({ filters: { label } })) await api.getNetwork(Id).remove();
      for (const { Name } of (await api.listVolumes({ filters: { label } })).Volumes ?? []) {
        await api.getVolume(Name).remove();
      }
      for (const { Id } of await api.listImages({ filters: { label } })) {
        await api.getImage(Id).remove({ force: true });
      }
      for (const image of await docker.listImages()) await docker.removeImage(image);
      for (const folder of folders) await rm(folder, { recursive: true, force: true });
    },
  };
}

/** The engine as an installation sees it that has no other. */
export function alone(docker: OneEngine): Engines {
  const [config] = readEngines({}).list;
  if (config === undefined) throw new Error('there is an engine by default');
  const log = openLogger({ level: 'silent' });
  return openEngines({ engines: [{ config, docker }], awaySeconds: 60, claims: noClaims, log });
}

const noClaims: Claims = {
  claim: () => Promise.reject(new Error('one engine alone needs no claims')),
  of: () => Promise.reject(new Error('one engine alone needs no claims')),
  forget: () => Promise.reject(new Error('one engine alone needs no claims')),
};

/** The first container of a launch, as small as they come. */
export function startRequest(
  launchId: string,
  image: string,
  changes: Partial<StartContainerRequest> = {},
): StartContainerRequest {
  return {
    launchId,
    deployment: 1,
    appId: 'hello',
    buildId: 'b1',
    eventId: 'e1',
    image,
    env: [],
    memoryBytes: 64 * 1024 * 1024,
    cpus: 0.5,
    pidsMax: 32,
    tmpfsBytes: 16 * 1024 * 1024,
    runtime: 'default',
    egress: [],
    allowRoot: false,
    port: 8080,
    ...changes,
  };
}
