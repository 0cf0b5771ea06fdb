/** The frame of every end-to-end test: what is opened is closed again, in the opposite order, however the test ends. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';

type Cleanup = () => unknown;

export type E2E = {
  /** Aborts before the cleanups begin. */
  readonly signal: AbortSignal;
  /** Runs after the test in the opposite order of registration, even when the test or another cleanup fails. */
  registerCleanup(name: string, cleanup: Cleanup): void;
  /** For cleanups that have something to say about a failure. */
  hasFailed(): boolean;
  /** Asks again until the answer no longer throws, and fails with the last error after `ms`. */
  eventually<T>(ask: () => Promise<T> | T, ms?: number): Promise<T>;
};

const scenarioMsMax = 180_000;
const cleanupMsMax = 30_000;
const eventuallyMsMax = 60_000;
const askEveryMs = 50;

/**
 * A scenario as a test of its own. `APPHUB_E2E_DEBUG_HANDLES=1` prints what still keeps the process alive when the cleanups
 * are over.
 */
export function runE2E(name: string, scenario: (e2e: E2E, t: TestContext) => Promise<void>): void {
  test(name, { timeout: scenarioMsMax }, async t => {
    const cleanups: { name: string; cleanup: Cleanup }[] = [];
    const stop = new AbortController();
    let hasFailed = false;
    t.after(async () => {
      stop.abort();
      const failures: Error[] = [];
      for (const { name: cleanupName, cleanup } of cleanups.reverse()) {
        await within(cleanupMsMax, cleanupName, cleanup).catch((error: unknown) =>
          failures.push(error as Error),
        );
      }
      if (process.env.APPHUB_E2E_DEBUG_HANDLES === '1') {
        console.error('still open:', process.getActiveResourcesInfo());
      }
      assert.deepEqual(failures, [], 'cleanups failed');
    });
    const running = scenario(
      {
        signal: stop.signal,
        registerCleanup: (cleanupName, cleanup) => void cleanups.push({ name: cleanupName, cleanup }),
        hasFailed: () => hasFailed,
        eventually: (ask, ms = eventuallyMsMax) => eventually(ask, ms),
      },
      t,
    );
    await running.catch((error: unknown) => {
      hasFailed = true;
      throw error;
    });
  });
}

async function eventually<T>(ask: () => Promise<T> | T, ms: number): Promise<T> {
  const deadline = Date.now() + ms;
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await new Promise(resolve => setTimeout(resolve, askEveryMs));
    }
  }
}

async function within(ms: number, what: string, work: Cleanup): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} took longer than ${ms} ms`)), ms);
  });
  await Promise.race([Promise.resolve().then(work), late]).finally(() => clearTimeout(timer));
}
