/**
 * A map that remembers what was used last, up to a weight: what is kept of index files and of heads of cold streams. Two
 * generations instead of one exact order, so that what is used all the time costs nothing but a look: what was not used while
 * the younger one filled up is dropped.
 */
export class RecentlyUsed<Key, Value> {
  #young = new Map<Key, { value: Value; weight: number }>();
  #old = new Map<Key, { value: Value; weight: number }>();
  #youngWeight = 0;
  readonly #generationWeightMax: number;
  readonly #onDrop: (value: Value) => void;

  constructor(weightMax: number, onDrop: (value: Value) => void = () => {}) {
    this.#generationWeightMax = weightMax / 2;
    this.#onDrop = onDrop;
  }

  get(key: Key): Value | undefined {
    const young = this.#young.get(key);
    if (young !== undefined) return young.value;
    const old = this.#old.get(key);
    if (old === undefined) return undefined;
    this.#old.delete(key);
    this.#add(key, old);
    return old.value;
  }

  has(key: Key): boolean {
    return this.#young.has(key) || this.#old.has(key);
  }

  /** The newest entry stays even where it alone is heavier than the limit. */
  set(key: Key, value: Value, weight = 1): void {
    this.delete(key);
    this.#add(key, { value, weight });
  }

  #add(key: Key, entry: { value: Value; weight: number }): void {
    if (this.#youngWeight > 0 && this.#youngWeight + entry.weight > this.#generationWeightMax) {
      for (const { value } of this.#old.values()) this.#onDrop(value);
      this.#old = this.#young;
      this.#young = new Map();
      this.#youngWeight = 0;
    }
    this.#young.set(key, entry);
    this.#youngWeight += entry.weight;
  }

  delete(key: Key): void {
    const young = this.#young.get(key);
    if (young !== undefined) this.#youngWeight -= young.weight;
    const entry = young ?? this.#old.get(key);
    if (entry === undefined) return;
    this.#young.delete(key);
    this.#old.delete(key);
    this.#onDrop(entry.value);
  }

  clear(): void {
    for (const key of [...this.#young.keys(), ...this.#old.keys()]) this.delete(key);
  }
}
