/** Ids of the newest events, by which a repeated append is recognised. Bounded: two generations, the older is forgotten whole. */
import type { Appended } from './storage.ts';

export type RecentEvent = {
  readonly stream: string;
  readonly revision: number;
  /** Settles with the append that the event was part of: a repetition is answered no earlier. */
  readonly append: Promise<Appended> | undefined;
  /** Known at once for what was read back from the storage. */
  readonly position: number | undefined;
};

const generationIdsMax = 25_000;

export class RecentEvents {
  #young = new Map<string, RecentEvent>();
  #old = new Map<string, RecentEvent>();

  add(id: string, event: RecentEvent): void {
    if (this.#young.size >= generationIdsMax) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(id, event);
  }

  get(id: string): RecentEvent | undefined {
    return this.#young.get(id) ?? this.#old.get(id);
  }

  /** Forgets an event whose append failed, unless the id has been stored again since. */
  forget(id: string, append: Promise<Appended>): void {
    if (this.#young.get(id)?.append === append) this.#young.delete(id);
    if (this.#old.get(id)?.append === append) this.#old.delete(id);
  }
}
