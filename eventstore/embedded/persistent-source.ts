/** What a persistent subscription reads: a stream by revision, or $all by position. */
import type { EventLog } from './log.ts';
import { StreamNotFound } from './log-errors.ts';
import { isHiddenInAll } from './log-read.ts';
import type { GroupName } from './persistent-errors.ts';
import { openFilter, type Settings, type StartFrom } from './persistent-settings.ts';
import type { StoredRecord } from './storage.ts';

export const allStream = '$all';

export type Source = {
  readonly isAll: boolean;
  /** What a reader that has read nothing stands at. */
  readonly beginning: number;
  /** Where the source ends now; the place of its newest record. */
  end(): number;
  /** Records behind a place, in order. Empty: nothing yet. Rejects with StreamDeleted after a tombstone. */
  read(after: number, limit: number): Promise<readonly StoredRecord[]>;
  place(record: StoredRecord): number;
  /** False for what a filter leaves out. */
  includes(record: StoredRecord): boolean;
};

const pageBytesMax = 256 * 1024;

export function openSource(log: EventLog, { stream }: GroupName, settings: Settings): Source {
  if (stream !== allStream) return streamSource(log, stream);
  const filter = openFilter(settings.filter);
  return {
    isAll: true,
    beginning: 0,
    end: () => log.storage.lastPosition(),
    async read(after, limit) {
      const recent = log.tail.after(after, limit);
      return recent ?? (await log.storage.readAll(after + 1, 'forwards', limit, pageBytesMax));
    },
    place: record => record.position,
    includes: record => !isHiddenInAll(record) && (filter?.matches(record) ?? true),
  };
}

function streamSource(log: EventLog, stream: string): Source {
  return {
    isAll: false,
    beginning: -1,
    end: () => log.storage.head(stream)?.revision ?? -1,
    async read(after, limit) {
      try {
        return (await log.readStream(stream, after + 1, 'forwards', limit, pageBytesMax)).records;
      } catch (error) {
        // It may come yet, or come back.
        if (error instanceof StreamNotFound) return [];
        throw error;
      }
    },
    place: record => record.revision,
    includes: () => true,
  };
}

/** The place behind which a group begins that has no checkpoint. */
export function placeBefore(source: Source, from: StartFrom): number {
  if (from === 'end') return source.end();
  return from === 'start' ? source.beginning : from - 1;
}
