/**
 * Ends a command together with the processes it started. git's own helpers (git-remote-https, index-pack) outlive a git that
 * is interrupted, so each run marks its environment, which all of its processes inherit, and is found again by that mark.
 */
import { readdir, readFile } from 'node:fs/promises';

const roundsMax = 5;

/**
 * Kills each process of this user whose environment holds `name=value`. Works where /proc is (Linux); elsewhere it does
 * nothing, and helpers end when they see that nobody reads what they write, or by git's own time limits.
 */
export async function endMarkedProcesses(name: string, value: string): Promise<void> {
  // A process may start another one while it is looked for.
  for (let round = 1; round <= roundsMax; round += 1) {
    const marked = await findMarked(`${name}=${value}`);
    if (marked.length === 0) return;
    for (const pid of marked) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It ended by itself.
      }
    }
  }
}

async function findMarked(mark: string): Promise<number[]> {
  const names = await readdir('/proc').catch(() => []);
  const found = await Promise.all(
    names
      .filter(name => /^\d+$/.test(name))
      .map(async pid => {
        const variables = await readFile(`/proc/${pid}/environ`, 'latin1').catch(() => '');
        return variables.split('\0').includes(mark) ? [Number(pid)] : [];
      }),
  );
  return found.flat();
}
