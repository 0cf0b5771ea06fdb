/** A map that remembers what was used last, up to a weight: what is kept of index files and of heads of cold streams. */
export class RecentlyUsed<Key, Value> {
  readonly #entries = new Map<Key, { value: Value; weight: number }>();
  readonly #weightMax: number;
  readonly #onDrop: (value: Value) => void;
  #weight = 0;

  constructor(weightMax: number, onDrop: (value: Value) => void = () => {}) {
    this.#weightMax = weightMax;
    this.#onDrop = onDrop;
  }

  get(key: Key): Value | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    return entry.value;
  }

  has(key: Key): boolean {
    return this.#entries.has(key);
  }

  /** The newest entry stays even where it alone is heavier than the limit. */
  set(key: Key, value: Value, weight = 1): void {
    this.delete(key);
    for (const oldest of this.#entries.keys()) {
      if (this.#weight + weight <= this.#weightMax) break;
      this.delete(oldest);
    }
    this.#entries.set(key, { value, weight });
    this.#weight += weight;
  }

  delete(key: Key): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    this.#weight -= entry.weight;
    this.#onDrop(entry.value);
  }

  clear(): void {
    for (const key of [...this.#entries.keys()]) this.delete(key);
  }
}
