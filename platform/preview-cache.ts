/**
 * What is known of launches, so that a visit need not wait for the database. One query looks at everything that was visited
 * lately: when the tables have moved, and now and then. What was not looked at for long is looked at before it is used.
 */
import type { Finder, Target } from './preview-target.ts';

/** Used as it is; between this and `oldMsMax` it is used once more while it is being looked at. */
const freshMsMax = 500;
const oldMsMax = 2_000;
/** While the database does not answer, running apps are visited by what was known last. */
const orphanedMsMax = 30_000;
/** Having failed, a look is not tried again for so long where something is known. */
const afterFailureMs = 1_000;
/** Followed for so long after the last visit. */
const followedMsMax = 60_000;
const followedMax = 1_000;
const knownMax = 10_000;
const loadMsMax = 5_000;

/** Names that are not in the answer are nobody's. */
export type Load = (names: readonly string[]) => Promise<ReadonlyMap<string, Target>>;

type Known = {
  readonly target: Target | undefined;
  readonly atMs: number;
  readonly load: number;
  usedMs: number;
};

export class PreviewCache implements Finder {
  readonly #load: Load;
  readonly #now: () => number;
  readonly #known = new Map<string, Known>();
  readonly #looking = new Map<string, Promise<Target | undefined>>();
  readonly #waiting = new Set<() => void>();
  #loads = 0;
  #failedMs = Number.NEGATIVE_INFINITY;
  #refreshing = false;
  #again = false;

  constructor(load: Load, now: () => number = () => performance.now()) {
    this.#load = load;
    this.#now = now;
  }

  find(name: string): Target | undefined | Promise<Target | undefined> {
    const found = this.#known.get(name);
    if (found === undefined) return this.#look(name);
    const { target } = found;
    const nowMs = this.#now();
    found.usedMs = nowMs;
    const ageMs = nowMs - found.atMs;
    if (ageMs <= freshMsMax) return target;
    if (ageMs <= oldMsMax) {
      this.invalidate();
      return target;
    }
    const isOrphaned = target !== undefined && ageMs <= orphanedMsMax;
    if (isOrphaned && nowMs - this.#failedMs < afterFailureMs) return target;
    return this.#look(name).catch(error => {
      if (isOrphaned) return target;
      throw error;
    });
  }

  async look(name: string): Promise<Target | undefined> {
    // One that is under way may have read before what the asker has just seen.
    await this.#looking.get(name)?.catch(() => undefined);
    return this.#look(name);
  }

  async moved(msMax: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.add(resolve);
    const timer = setTimeout(resolve, msMax).unref();
    await promise;
    clearTimeout(timer);
    this.#waiting.delete(resolve);
  }

  /**
   * The tables may have moved: what was visited lately is looked at. One look at a time; a call meanwhile makes one more
   * follow.
   */
  invalidate(): void {
    if (this.#refreshing) {
      this.#again = true;
      return;
    }
    this.#refreshing = true;
    void this.#refresh().finally(() => {
      this.#refreshing = false;
      if (!this.#again) return;
      this.#again = false;
      this.invalidate();
    });
  }

  async #refresh(): Promise<void> {
    const atMs = this.#now();
    const names: string[] = [];
    for (const [name, { usedMs }] of this.#known) {
      if (atMs - usedMs > followedMsMax) this.#known.delete(name);
      else names.push(name);
    }
    try {
      if (names.length > 0) await this.#ask(names.slice(-followedMax));
    } catch {
      return;
    }
    for (const resolve of this.#waiting) resolve();
  }

  #look(name: string): Promise<Target | undefined> {
    const underWay = this.#looking.get(name);
    if (underWay !== undefined) return underWay;
    const made = this.#ask([name])
      .then(found => found.get(name))
      .finally(() => this.#looking.delete(name));
    this.#looking.set(name, made);
    return made;
  }

  async #ask(names: readonly string[]): Promise<ReadonlyMap<string, Target>> {
    this.#loads += 1;
    const [load, atMs] = [this.#loads, this.#now()];
    try {
      const found = await inTime(this.#load(names));
      for (const name of names) this.#keep(name, { target: found.get(name), atMs, load });
      return found;
    } catch (error) {
      this.#failedMs = this.#now();
      throw error;
    }
  }

  /** Loads may overtake each other: what was asked for later counts. */
  #keep(name: string, seen: Omit<Known, 'usedMs'>): void {
    const before = this.#known.get(name);
    if (before !== undefined && before.load > seen.load) return;
    this.#known.delete(name);
    this.#known.set(name, { ...seen, usedMs: before?.usedMs ?? seen.atMs });
    const [oldest] = this.#known.keys();
    if (this.#known.size > knownMax && oldest !== undefined) this.#known.delete(oldest);
  }
}

async function inTime<T>(work: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error('finding the launch took too long')), loadMsMax);
  try {
    return await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
