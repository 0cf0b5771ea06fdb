/**
 * Places between two effects where a process may be made to die, to see what the next start makes of it. `APPHUB_FAULT` names
 * one, as `deploy.started`, or `deploy.started:3` for the third time it is passed, or `*:0.05` for any of them by chance.
 * Without it nothing happens.
 */
const [place, count] = (process.env.APPHUB_FAULT ?? '').split(':');
const wanted = Number(count ?? 1);
let passed = 0;

/** Passes, unless this is where the process is to die: then it does at once, as by SIGKILL, and nothing is cleaned up. */
export function faultPoint(name: string): void {
  if (place === undefined || place === '') return;
  if (place === '*') {
    if (Math.random() < wanted) process.kill(process.pid, 'SIGKILL');
    return;
  }
  if (name !== place) return;
  passed += 1;
  if (passed === wanted) process.kill(process.pid, 'SIGKILL');
}
