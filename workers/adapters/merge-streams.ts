/** Several streams as one: whatever comes is passed on as it comes, and nothing piles up. Ends when all have ended. */
export async function* mergeStreams<T>(streams: readonly AsyncIterable<T>[]): AsyncIterable<T> {
  const open = new Map(streams.map(stream => [stream[Symbol.asyncIterator](), null as Next<T> | null]));
  const next = (source: AsyncIterator<T>): Next<T> => source.next().then(result => ({ source, result }));
  try {
    while (open.size > 0) {
      for (const [source, waiting] of open) if (waiting === null) open.set(source, next(source));
      const waiting = [...open.values()].filter(one => one !== null);
      const { source, result } = await Promise.race(waiting);
      if (result.done) open.delete(source);
      else {
        open.set(source, null);
        yield result.value;
      }
    }
  } finally {
    for (const [source, waiting] of open) {
      waiting?.catch(() => undefined);
      void source.return?.()?.catch(() => undefined);
    }
  }
}

type Next<T> = Promise<{ readonly source: AsyncIterator<T>; readonly result: IteratorResult<T> }>;
