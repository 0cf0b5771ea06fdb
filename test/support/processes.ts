/** What runs on this machine. */
import { readdirSync, readFileSync } from 'node:fs';

/** The ids of processes, in whichever namespace, that run this very command. It is asked often, so without a thread for each. */
export function processesOf(...command: string[]): readonly number[] {
  const wanted = `${command.join('\0')}\0`;
  const runsIt = (id: string) => {
    try {
      return readFileSync(`/proc/${id}/cmdline`, 'utf8') === wanted;
    } catch {
      // It has ended meanwhile.
      return false;
    }
  };
  const ids = readdirSync('/proc').filter(name => /^\d+$/.test(name));
  return ids.filter(runsIt).map(Number);
}
