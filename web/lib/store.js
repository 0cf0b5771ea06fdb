/** A value that parts of the page watch. */
import { useEffect, useState } from './html.js';

/**
 * @template T
 * @typedef {{ get(): T, set(value: T): void, watch(seen: (value: T) => void): () => void }} Store
 */

/** @template T @param {T} first @returns {Store<T>} */
export function createStore(first) {
  let value = first;
  /** @type {Set<(value: T) => void>} */
  const watchers = new Set();
  return {
    get: () => value,
    set(next) {
      if (Object.is(next, value)) return;
      value = next;
      for (const seen of [...watchers]) seen(value);
    },
    /** Calls back on each change; answers the function that ends it. */
    watch(seen) {
      watchers.add(seen);
      return () => void watchers.delete(seen);
    },
  };
}

/**
 * The store's value in a component, rendered again on each change.
 * @template T
 * @param {Store<T>} store
 * @returns {T}
 */
export function useStore(store) {
  const [value, setValue] = useState(store.get());
  useEffect(() => {
    // It may have changed between the first render and this effect.
    setValue(() => store.get());
    return store.watch(next => setValue(() => next));
  }, [store]);
  return value;
}
