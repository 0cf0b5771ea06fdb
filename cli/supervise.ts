/** Rooms as processes of their own: started, started again when they die, and ended together. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Config, Room } from '../platform/config.ts';
import { freePort } from '../platform/free-port.ts';
import type { Log } from '../platform/log.ts';
import type { Secrets } from './installation.ts';
import type { Running } from './rooms.ts';

const readyMsMax = 60_000;
const restartMsMin = 250;
const restartMsMax = 10_000;
const calmMs = 30_000;
const stopMsMax = 9_000;

export type SuperviseOptions = Config & {
  readonly rooms: readonly Room[];
  readonly secrets: Secrets;
  readonly log: Log;
};

type Keeper = { ready: Promise<void>; stop(): Promise<void> };

export async function superviseRooms(options: SuperviseOptions): Promise<Running> {
  const { rooms, host } = options;
  const port = options.port === 0 ? await freePort(host) : options.port;
  const ports = { commands: await freePort(), 'read-api': await freePort() };
  const env = envOf(options, port, ports);
  // The tables first: the others wait for them.
  const keepers = rooms.map(room => {
    const own = room === 'commands' || room === 'read-api' ? ports[room] : port;
    const at = room === 'web' ? host : '127.0.0.1';
    return keep(room, { ...env, PORT: String(own), HOST: at }, options.log);
  });
  const close = async () => {
    await Promise.all(keepers.map(keeper => keeper.stop()));
  };
  try {
    await Promise.all(keepers.map(keeper => keeper.ready));
  } catch (error) {
    await close();
    throw error;
  }
  return { url: `http://${host === '127.0.0.1' ? 'localhost' : host}:${port}`, close };
}

function envOf(options: SuperviseOptions, port: number, ports: { commands: number; 'read-api': number }) {
  const { databaseUrl, eventstoreUrl, redisUrl, dataDir, secrets, previewPort } = options;
  return {
    ...process.env,
    DATABASE_URL: databaseUrl,
    EVENTSTORE_URL: eventstoreUrl,
    REDIS_URL: redisUrl,
    APPHUB_DATA_DIR: dataDir,
    APPHUB_OPERATOR_TOKEN: secrets.operatorToken,
    APPHUB_WEBHOOK_SECRET: secrets.webhookSecret,
    APPHUB_BUILD_SECRET_KEY: secrets.buildSecret,
    APPHUB_PREVIEW_PORT: String(previewPort === 0 ? port : previewPort),
    APPHUB_PUBLIC_URL: options.publicUrl ?? `http://localhost:${port}`,
    APPHUB_COMMANDS_URL: `http://127.0.0.1:${ports.commands}`,
    APPHUB_READ_API_URL: `http://127.0.0.1:${ports['read-api']}`,
  };
}

/** Keeps one room running until it is told to stop. */
function keep(room: Room, env: NodeJS.ProcessEnv, log: Log): Keeper {
  const opened = Promise.withResolvers<void>();
  const stopping = new AbortController();
  let child: ChildProcess | undefined;

  const run = async () => {
    let restartMs = restartMsMin;
    while (!stopping.signal.aborted) {
      const began = Date.now();
      child = spawnRoom(room, env);
      child.on('message', message => {
        if (message === 'ready') opened.resolve();
      });
      const [code, signal] = await once(child, 'exit');
      if (stopping.signal.aborted) return;
      if (Date.now() - began > calmMs) restartMs = restartMsMin;
      log.error({ room, code, signal, restartMs }, 'a room died; starting it again');
      await sleep(restartMs, undefined, { signal: stopping.signal }).catch(() => undefined);
      restartMs = Math.min(restartMs * 2, restartMsMax);
    }
  };
  const done = run();
  const late = setTimeout(() => opened.reject(new Error(`the room ${room} did not open`)), readyMsMax);
  opened.promise.finally(() => clearTimeout(late)).catch(() => undefined);
  return {
    ready: opened.promise,
    async stop() {
      stopping.abort();
      child?.kill('SIGTERM');
      const isLate = await Promise.race([done.then(() => false), sleep(stopMsMax, true, { ref: false })]);
      if (isLate) child?.kill('SIGKILL');
      await done;
    },
  };
}

/** The channel between us ends with us, however we end; the room takes that for a signal to stop. */
function spawnRoom(room: Room, env: NodeJS.ProcessEnv): ChildProcess {
  const program = path.resolve(import.meta.dirname, 'apphub.js');
  return spawn(process.execPath, [...process.execArgv, program, 'start', `--rooms=${room}`], {
    env,
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
}
