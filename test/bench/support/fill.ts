/** A log that is full already, without the time that thousands of appends over the wire take. */
import type { Storage } from '../../../eventstore/embedded/storage.ts';
import type { Happened } from './life.ts';

const appendsAtOnce = 2_000;

/** The events as the log's own server would store them. Answers the last position. */
export async function fillLog(storage: Storage, happened: readonly Happened[]): Promise<number> {
  const next = new Map<string, number>();
  let last = 0;
  for (let from = 0; from < happened.length; from += appendsAtOnce) {
    const appended = happened.slice(from, from + appendsAtOnce).map(({ stream, event, ms }, at) => {
      const revision = next.get(stream) ?? 0;
      next.set(stream, revision + 1);
      const id = `00000000-0000-4000-8000-${(from + at).toString(16).padStart(12, '0')}`;
      const metadata = {
        actor: 'operator',
        correlationId: id,
        causationId: id,
        time: new Date(ms).toISOString(),
      };
      return storage.append(stream, revision, [
        {
          id,
          type: event.type,
          contentType: 'application/json',
          data: Buffer.from(JSON.stringify(event.data)),
          metadata: Buffer.from(JSON.stringify(metadata)),
        },
      ]);
    });
    last = (await Promise.all(appended)).at(-1)?.position ?? last;
  }
  return last;
}
