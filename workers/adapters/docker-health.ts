/**
 * The HEALTHCHECK of an image, asked while its app comes up. The engine runs it by itself only once in an interval,
 * by default 30 s, and a visitor is waiting: so it is run here as well, one at a time, until it says yes.
 */
import { setTimeout as wait } from 'node:timers/promises';
import type Dockerode from 'dockerode';
import type { Engine } from './docker-types.ts';

const outputBytesMax = 4_096;
const outputCharsMax = 200;
const headerBytes = 8;
const looksEveryMs = 25;
const shellDefault = ['/bin/sh', '-c'];

type Config = Pick<Dockerode.ContainerInspectInfo['Config'], 'Healthcheck'> & { Shell?: string[] | null };

/** The command line that says whether the app is well; undefined: the image declares none. */
export function healthCommandOf({ Healthcheck: check, Shell: shell }: Config): string[] | undefined {
  const [kind, ...rest] = check?.Test ?? [];
  if (kind === 'CMD' && rest.length > 0) return rest;
  if (kind === 'CMD-SHELL' && rest.length > 0) return [...(shell ?? shellDefault), ...rest];
  return undefined;
}

export type Verdict = { readonly isWell: boolean; readonly said: string };

/** Runs the command inside the container, to its end. */
export async function runHealthCheck(
  engine: Engine,
  containerId: string,
  command: readonly string[],
  signal: AbortSignal,
): Promise<Verdict> {
  const options = { Cmd: [...command], AttachStdout: true, AttachStderr: true, abortSignal: signal };
  const exec = await engine.api.getContainer(containerId).exec(options);
  const stream = await exec.start({ hijack: true, stdin: false, abortSignal: signal });
  const stop = () => stream.destroy();
  signal.addEventListener('abort', stop, { once: true });
  const parts: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of stream) {
      const part = chunk as Buffer;
      if (bytes < outputBytesMax) parts.push(part);
      bytes += part.length;
    }
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener('abort', stop);
  }
  signal.throwIfAborted();
  for (;;) {
    const { Running: isRunning, ExitCode: exitCode } = await exec.inspect();
    if (!isRunning) return { isWell: exitCode === 0, said: wordsOf(Buffer.concat(parts)) };
    await wait(looksEveryMs, undefined, { signal });
  }
}

/** The engine's frames without their headers, as one line for people. */
function wordsOf(frames: Buffer): string {
  const parts: Buffer[] = [];
  for (let at = 0; at + headerBytes <= frames.length; ) {
    const length = frames.readUInt32BE(at + 4);
    parts.push(frames.subarray(at + headerBytes, at + headerBytes + length));
    at += headerBytes + length;
  }
  const text = Buffer.concat(parts).toString('utf8');
  return text
    .replace(/\p{Cc}+/gu, ' ')
    .trim()
    .slice(0, outputCharsMax);
}
