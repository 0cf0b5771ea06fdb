/** The newest durable records in memory, so that subscribers who keep up need no reading. Bounded by count and bytes. */
import type { Storage, StoredRecord } from './storage.ts';

const tailRecordsMax = 2_048;
const tailBytesMax = 8 * 1024 * 1024;

export type Tail = {
  /** Records after `position`, at most `limit`; undefined when the tail does not reach back that far. */
  after(position: number, limit: number): StoredRecord[] | undefined;
  /** Position of the newest record that subscribers have been told of. */
  last(): number;
};

/** Follows the storage. Must be made before anything else listens to its commits. */
export function followTail(storage: Storage): Tail {
  let records: StoredRecord[] = [];
  let bytes = 0;
  let before = storage.lastPosition();

  storage.onCommit(committed => {
    for (const record of committed) {
      records.push(record);
      bytes += record.wire.length;
    }
    if (records.length > 2 * tailRecordsMax || bytes > tailBytesMax) trim();
  });

  function trim(): void {
    let from = Math.max(0, records.length - tailRecordsMax);
    let dropped = 0;
    for (let i = 0; i < from; i++) dropped += (records[i] as StoredRecord).wire.length;
    // Half of the maximum stays, so that the next commits do not trim again.
    for (; from < records.length && bytes - dropped > tailBytesMax / 2; from++) {
      dropped += (records[from] as StoredRecord).wire.length;
    }
    if (from === 0) return;
    before = (records[from - 1] as StoredRecord).position;
    records = records.slice(from);
    bytes -= dropped;
  }

  return {
    last: () => records.at(-1)?.position ?? before,
    after(position, limit) {
      if (position < before) return undefined;
      let low = 0;
      let high = records.length;
      while (low < high) {
        const middle = (low + high) >>> 1;
        if ((records[middle] as StoredRecord).position <= position) low = middle + 1;
        else high = middle;
      }
      return records.slice(low, low + limit);
    },
  };
}
