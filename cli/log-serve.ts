/** `apphub log serve`: the embedded event log alone, for applications elsewhere and for tools. */
import { mkdirSync, readFileSync } from 'node:fs';
import { openSegmentStorage } from '../eventstore/embedded/segment-storage.ts';
import { type LogServerOptions, startLogServer } from '../eventstore/embedded/server.ts';
import { ConfigError, readConfig } from '../platform/config.ts';
import { openLogger } from '../platform/log.ts';
import { exits, UsageError } from './exit.ts';
import { logFolder } from './log-files.ts';
import { defineVerb, wholeNumber } from './verb.ts';

const portMax = 65_535;
const passwordVariables = { admin: 'APPHUB_LOG_ADMIN_PASSWORD', ops: 'APPHUB_LOG_OPS_PASSWORD' } as const;

export const serve = defineVerb({
  summary: 'Run the event log alone, for any client of EventStoreDB',
  words: '',
  options: {
    data: {
      type: 'string',
      value: 'folder',
      help: 'Where AppHub keeps its data; default: APPHUB_DATA_DIR, or ./data',
    },
    port: { type: 'string', value: 'port', default: '2113', help: 'Default 2113; 0 takes any that is free' },
    host: { type: 'string', value: 'address', default: '127.0.0.1', help: 'Default: this machine only' },
    'tls-cert': { type: 'string', value: 'file', help: 'Certificate of the server, PEM' },
    'tls-key': { type: 'string', value: 'file', help: 'Its private key, PEM' },
    durability: {
      type: 'string',
      value: 'when',
      help: 'always syncs before each answer, interval:<ms> every so often, none never; default: always',
    },
  },
  examples: [
    'apphub log serve --data /var/lib/apphub',
    'apphub log serve --host 0.0.0.0 --tls-cert cert.pem --tls-key key.pem',
  ],
  about: `Everybody who connects is an administrator, unless ${passwordVariables.admin} and
${passwordVariables.ops} are set: then the users admin and ops are made with these passwords, and every call has to name
a user. Clients send a name only over TLS. Runs until it is interrupted, terminated or asked to by a client.`,
  run: async ({ options, out, signal }) => {
    const port = wholeNumber('port', options.port ?? '2113', 0, portMax);
    const { durability, level } = settings(options.durability);
    const host = options.host ?? '127.0.0.1';
    const tls = tlsOf(options['tls-cert'], options['tls-key']);
    const users = usersOf(process.env, tls !== undefined);
    const log = openLogger({ level });
    const directory = logFolder(options.data);
    mkdirSync(directory, { recursive: true });
    const stopped = untilStopped(signal);
    const storage = await openSegmentStorage({ directory, durability, log });
    try {
      const secured = { ...(tls && { tls }), ...(users && { users }) };
      const server = await startLogServer({ storage, port, host, log, onShutdown: stopped.stop, ...secured });
      if (users === undefined && !/^(127\.|localhost$|::1$)/.test(host)) {
        log.warn({ host }, 'whoever reaches this port may read and change everything');
      }
      const url = `esdb://${host.includes(':') ? `[${host}]` : host}:${server.port}?tls=${tls !== undefined}`;
      if (out.json) out.document({ url, directory });
      else out.line(`The log in ${directory} is at ${url}`);
      await stopped.done;
      log.info({}, 'stopping');
      await server.close();
    } finally {
      await storage.close();
    }
    return exits.ok;
  },
});

function settings(durability: string | undefined) {
  const { APPHUB_LOG_DURABILITY: usual, LOG_LEVEL } = process.env;
  try {
    const config = readConfig({
      ...(LOG_LEVEL === undefined ? {} : { LOG_LEVEL }),
      ...((durability ?? usual) === undefined ? {} : { APPHUB_LOG_DURABILITY: durability ?? usual }),
    });
    return { durability: config.logDurability, level: config.logLevel };
  } catch (error) {
    if (error instanceof ConfigError) {
      throw new UsageError(error.message.replace('APPHUB_LOG_DURABILITY', '--durability'));
    }
    throw error;
  }
}

function tlsOf(cert: string | undefined, key: string | undefined): LogServerOptions['tls'] {
  if (cert === undefined && key === undefined) return undefined;
  if (cert === undefined || key === undefined) throw new UsageError('--tls-cert and --tls-key go together.');
  return { cert: pem('tls-cert', cert), key: pem('tls-key', key) };
}

function pem(option: string, file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new UsageError(`--${option} ${file} cannot be read: ${(error as Error).message}`);
  }
}

function usersOf(env: NodeJS.ProcessEnv, isEncrypted: boolean): LogServerOptions['users'] {
  const admin = env[passwordVariables.admin];
  const ops = env[passwordVariables.ops];
  if (admin === undefined && ops === undefined) return undefined;
  if (!admin || !ops)
    throw new UsageError(`${passwordVariables.admin} and ${passwordVariables.ops} go together.`);
  if (!isEncrypted)
    throw new UsageError('Passwords need --tls-cert and --tls-key: clients send none without.');
  return { admin, ops };
}

/** By Ctrl-C, SIGTERM or `stop`, whichever is first. */
function untilStopped(signal: AbortSignal): { stop(): void; readonly done: Promise<void> } {
  const { promise: done, resolve: stop } = Promise.withResolvers<void>();
  signal.addEventListener('abort', () => stop(), { once: true });
  process.once('SIGTERM', () => stop());
  return { stop, done };
}
