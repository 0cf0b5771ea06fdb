/**
 * One process owns a log's directory. Where the `flock` command is there (every Linux distribution has it), the kernel's
 * own lock decides: it is taken by a short-lived child on a descriptor that we share with it, stays with our descriptor,
 * and is gone the moment we are, however we die. Elsewhere the file names its owner by process id and start time, so that
 * a recycled id is not taken for the owner.
 */
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import path from 'node:path';

/** Another process has the directory open. */
class DirectoryLocked extends Error {
  override readonly name = 'DirectoryLocked';
}

export type Lock = { release(): void };

const fileName = 'lock';

/** What identifies a process on this machine; the start is unknown where there is no /proc. */
type Owner = { pid: number; start: string; space: string };

function startOf(pid: number | 'self'): string {
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name, in brackets, may hold spaces: fields are counted from behind it. The 22nd is the start in clock ticks.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  } catch {
    return '';
  }
}

/** Process ids mean something only within one boot and one pid namespace. */
function processSpace(): string {
  try {
    return `${fs.readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()} ${fs.readlinkSync('/proc/self/ns/pid')}`;
  } catch {
    return '';
  }
}

function isOwner(value: unknown): value is Owner {
  return (
    typeof value === 'object' && value !== null && 'pid' in value && 'start' in value && 'space' in value
  );
}

function readOwner(file: string): Owner | undefined {
  try {
    const value: unknown = JSON.parse(fs.readFileSync(file, 'utf8'));
    return isOwner(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isAlive(owner: Owner): boolean {
  if (owner.space !== processSpace()) return owner.space.split(' ')[0] === processSpace().split(' ')[0];
  try {
    process.kill(owner.pid, 0);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ESRCH') return false;
  }
  return owner.start === startOf(owner.pid);
}

function refusal(directory: string, owner: Owner | undefined): DirectoryLocked {
  const who = owner === undefined ? 'another process' : `process ${owner.pid}`;
  return new DirectoryLocked(`${directory} is in use by ${who}; two processes cannot own one log`);
}

const flockRefused = 1;

/** True: locked. False: another has it. Undefined: there is no such command here. */
function flock(fd: number): boolean | undefined {
  const { status, error } = spawnSync('flock', ['-n', '3'], { stdio: ['ignore', 'ignore', 'ignore', fd] });
  if (error !== undefined || status === null) return undefined;
  if (status === 0) return true;
  return status === flockRefused ? false : undefined;
}

function ownerText(): string {
  const owner: Owner = { pid: process.pid, start: startOf('self'), space: processSpace() };
  return JSON.stringify(owner);
}

const attemptsMax = 5;

/** Without flock: the file appears whole by `link`, and one whose owner is gone is moved aside before it is replaced. */
function lockByOwner(directory: string, file: string): Lock {
  const mine = `${file}.${process.pid}`;
  fs.writeFileSync(mine, ownerText());
  try {
    for (let attempt = 1; attempt <= attemptsMax; attempt += 1) {
      try {
        fs.linkSync(mine, file);
        return { release: () => fs.rmSync(file, { force: true }) };
      } catch {
        const owner = readOwner(file);
        if (owner !== undefined && isAlive(owner)) throw refusal(directory, owner);
        const aside = `${mine}.stale`;
        fs.renameSync(file, aside);
        const moved = readOwner(aside);
        // Someone was quicker and this is his: he gets it back.
        if (moved !== undefined && isAlive(moved)) fs.renameSync(aside, file);
        else fs.rmSync(aside, { force: true });
      }
    }
  } finally {
    fs.rmSync(mine, { force: true });
  }
  throw refusal(directory, readOwner(file));
}

/**
 * Takes the directory for this process until `release`, or until the process is gone.
 * Throws DirectoryLocked when another one has it. `command: false` is for tests of the way without `flock`.
 */
export function lockDirectory(directory: string, options: { command?: boolean } = {}): Lock {
  const file = path.join(directory, fileName);
  if (options.command === false) return lockByOwner(directory, file);
  const fd = fs.openSync(file, 'a+');
  const locked = flock(fd);
  if (locked === true) {
    try {
      fs.ftruncateSync(fd, 0);
      fs.writeSync(fd, ownerText());
    } catch {
      // A full disk: the name of the owner is only for the message that others get.
    }
    return { release: () => fs.closeSync(fd) };
  }
  fs.closeSync(fd);
  if (locked === false) throw refusal(directory, readOwner(file));
  if (fs.statSync(file).size === 0) fs.rmSync(file, { force: true });
  return lockByOwner(directory, file);
}
