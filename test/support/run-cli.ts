/** Runs the real `apphub` command in a process of its own, and lets a test read along while it runs. */
import { spawn } from 'node:child_process';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

const runMsMax = 30_000;
const entry = path.resolve(import.meta.dirname, '../../cli/apphub.js');

export type Ended = { code: number | null; signal: NodeJS.Signals | null; stdout: string; stderr: string };

export type RunningCli = {
  readonly child: ReturnType<typeof spawn>;
  /** Resolves when standard output or error matches; rejects when the command ends without. */
  seen(pattern: RegExp): Promise<void>;
  readonly ended: Promise<Ended>;
};

/** The environment is what is given here and PATH: nothing of the machine's own AppHub leaks in. */
export function startCli(
  args: readonly string[],
  env: Record<string, string> = {},
  cwd?: string,
): RunningCli {
  const child = spawn(process.execPath, [entry, ...args], {
    env: { PATH: process.env.PATH ?? '', TZ: 'UTC', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(cwd === undefined ? {} : { cwd }),
  });
  let [stdout, stderr] = ['', ''];
  let over = false;
  const waiting = new Set<() => void>();
  const look = () => {
    for (const check of waiting) check();
  };
  child.stdout.setEncoding('utf8').on('data', text => {
    stdout += text;
    look();
  });
  child.stderr.setEncoding('utf8').on('data', text => {
    stderr += text;
    look();
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), runMsMax);
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      over = true;
      look();
      resolve({ code, signal, stdout, stderr });
    });
  });
  return {
    child,
    ended,
    seen: pattern =>
      new Promise((resolve, reject) => {
        const check = () => {
          const found = pattern.test(stdout) || pattern.test(stderr);
          if (!found && !over) return;
          waiting.delete(check);
          if (found) resolve();
          else reject(new Error(`ended without ${pattern}:\n${stdout}\n${stderr}`));
        };
        waiting.add(check);
        check();
      }),
  };
}

export function runCli(
  args: readonly string[],
  env: Record<string, string> = {},
  cwd?: string,
): Promise<Ended> {
  return startCli(args, env, cwd).ended;
}

/** Waits for a condition that the command brings about; rejects when it does not come. */
export async function until(condition: () => boolean): Promise<void> {
  const end = Date.now() + runMsMax;
  while (!condition()) {
    if (Date.now() > end) throw new Error(`never came: ${condition}`);
    await pause(5);
  }
}
