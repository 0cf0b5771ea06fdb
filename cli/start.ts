/** `apphub start`: everything in one process, or each room in a process of its own. */
import { mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { lockDirectory } from '../eventstore/embedded/lock.ts';
import { type Config, ConfigError, type Room, readConfig, rooms } from '../platform/config.ts';
import { openLogger } from '../platform/log.ts';
import { exits, UsageError } from './exit.ts';
import { keepSecrets } from './installation.ts';

const drainMsMax = 10_000;

const help = `Usage: apphub start [--port N] [--data DIR] [--rooms LIST] [--unchecked]

Starts AppHub on this machine. What is not named is brought along and kept in the data directory.

  --port N       where everything is reached (PORT, 4000)
  --data DIR     where everything is kept (APPHUB_DATA_DIR, ./data)
  --rooms LIST   a process for each of ${rooms.join(',')};
                 with one room, only that one, in this process
  --unchecked    also where a check of this version has found differences
                 (APPHUB_UPGRADE_GATE=off; see apphub upgrade check)

Servers of your own: DATABASE_URL, REDIS_URL, EVENTSTORE_URL, DOCKER_HOST.
More settings: docs/settings.md`;

/** Runs until SIGINT or SIGTERM, then drains. Answers the exit code. */
export async function start(args: readonly string[]): Promise<number> {
  const { values } = parseStart(args);
  if (values.help === true) {
    process.stdout.write(`${help}\n`);
    return exits.ok;
  }
  const config = configOf(values);
  const wanted = roomsOf(values.rooms);
  const stopped = untilStopped();
  if (wanted.length === 1 && wanted[0] !== undefined) return runRoom(config, wanted[0], stopped);
  mkdirSync(config.dataDir, { recursive: true });
  const lock = lockDirectory(config.dataDir);
  try {
    return await runAll(config, values.rooms === undefined ? [] : wanted, stopped);
  } finally {
    lock.release();
  }
}

function parseStart(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        port: { type: 'string' },
        data: { type: 'string' },
        rooms: { type: 'string' },
        unchecked: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

type Values = { port?: string | undefined; data?: string | undefined; unchecked?: boolean | undefined };

function configOf({ port, data, unchecked }: Values): Config {
  // The rooms that are processes of their own read it too.
  if (unchecked === true) process.env.APPHUB_UPGRADE_GATE = 'off';
  try {
    return readConfig({
      ...process.env,
      ...(port === undefined ? {} : { PORT: port }),
      ...(data === undefined ? {} : { APPHUB_DATA_DIR: data }),
    });
  } catch (error) {
    if (error instanceof ConfigError) throw new UsageError(error.message);
    throw error;
  }
}

function roomsOf(text: string | undefined): readonly Room[] {
  if (text === undefined) return rooms;
  const wanted = text.split(',').map(room => room.trim());
  const unknown = wanted.find(room => !rooms.includes(room as Room));
  if (unknown !== undefined) {
    throw new UsageError(`There is no room "${unknown}".\nKnown: ${rooms.join(', ')}`);
  }
  return wanted as Room[];
}

/** Resolves at the first signal. A second one ends the process at once. A child also stops when its parent is gone. */
function untilStopped(): Promise<void> {
  return new Promise(resolve => {
    const stop = () => {
      for (const signal of ['SIGINT', 'SIGTERM'] as const) {
        process.removeListener(signal, stop);
        process.once(signal, () => process.exit(exits.interrupted));
      }
      setTimeout(() => process.exit(exits.failed), drainMsMax).unref();
      resolve();
    };
    process.once('SIGINT', stop);
    process.once('SIGTERM', stop);
    process.once('disconnect', stop);
  });
}

async function runAll(config: Config, apart: readonly Room[], stopped: Promise<void>): Promise<number> {
  const log = openLogger({ level: config.logLevel });
  const version = readVersion();
  const secrets = keepSecrets(config);
  const [{ openParts }, { noteParts }] = await Promise.all([
    import('./parts.ts'),
    import('./reach-parts.ts'),
  ]);
  const parts = await openParts(config, log);
  const forget = noteParts(config.dataDir, parts.config);
  try {
    const running =
      apart.length === 0
        ? await (await import('./rooms.ts')).openRooms({ ...parts.config, rooms, secrets, version, log })
        : await (await import('./supervise.ts')).superviseRooms({
            ...parts.config,
            rooms: apart,
            secrets,
            log,
          });
    greet(running.url, config, secrets);
    await stopped;
    log.info({}, 'stopping');
    await running.close();
  } finally {
    forget();
    await parts.close();
  }
  return exits.ok;
}

async function runRoom(config: Config, room: Room, stopped: Promise<void>): Promise<number> {
  const missing = (['DATABASE_URL', 'EVENTSTORE_URL'] as const).filter(
    name => process.env[name] === undefined,
  );
  if (missing.length > 0) {
    throw new UsageError(
      `One room alone needs ${missing.join(' and ')}: it shares them with the other rooms.`,
    );
  }
  const log = openLogger({ level: config.logLevel });
  const secrets = keepSecrets(config);
  const { openRooms } = await import('./rooms.ts');
  const running = await openRooms({ ...config, rooms: [room], secrets, version: readVersion(), log });
  process.send?.('ready');
  log.info({ room, url: running.url }, 'room is open');
  await stopped;
  await running.close();
  return exits.ok;
}

function greet(url: string, config: Config, secrets: { operatorToken: string; isNew: boolean }): void {
  const lines = [`AppHub is at ${url}`, ...waysIn(url, config, secrets)];
  process.stdout.write(`${lines.join('\n')}\n`);
}

function waysIn(
  url: string,
  { oidc, legacyTokens, dataDir }: Config,
  { operatorToken, isNew }: { operatorToken: string; isNew: boolean },
): readonly string[] {
  const people = oidc === undefined ? [] : [`People sign in at ${oidc.issuer}`];
  if (oidc !== undefined && !legacyTokens) return people;
  if (!isNew) return [...people, `Operator token: in ${path.join(dataDir, 'operator-token')}`];
  // What follows # stays in the browser; the page signs in with it and takes it out of the address.
  return [...people, `Operator token: ${operatorToken}`, `Sign in at once: ${url}/#token=${operatorToken}`];
}

function readVersion(): string {
  return JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')).version;
}
