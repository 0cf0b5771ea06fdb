/** Children that outlived a parent which was killed: ended before their successors start, so that no two share the data. */
import { readFileSync, readlinkSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

const exitMsMax = 15_000;
const lookEveryMs = 50;

/** Whether the process lives and works in this directory; a number that went to somebody else does not. */
function livesIn(pid: number, directory: string): boolean {
  try {
    return readlinkSync(`/proc/${pid}/cwd`) === directory;
  } catch {
    return false;
  }
}

/** Ends the process named in a pid file, if it is still the one that was started in `directory`. Resolves once it is gone. */
export async function endOrphan(pidFile: string, directory: string, signal: NodeJS.Signals): Promise<void> {
  let pid: number;
  try {
    pid = Number.parseInt(readFileSync(pidFile, 'utf8'), 10);
  } catch {
    return;
  }
  if (!(pid > 1) || !livesIn(pid, directory)) return;
  process.kill(pid, signal);
  for (let waitedMs = 0; livesIn(pid, directory); waitedMs += lookEveryMs) {
    if (waitedMs > exitMsMax) throw new Error(`process ${pid} of an earlier start does not end`);
    await sleep(lookEveryMs);
  }
}
