/** The rules of writing: expected revisions, repeated appends, deletion. */
import { randomUUID } from 'node:crypto';
import type { AppendOutcome } from './log.ts';
import {
  AppendTooLarge,
  type Expected,
  InvalidRequest,
  StreamDeleted,
  WrongExpectedRevision,
} from './log-errors.ts';
import {
  deletedBefore,
  deletedBeforeText,
  describedStream,
  isMetadataStream,
  type MetadataCache,
  metadataStream,
  metadataType,
  type StreamMetadata,
} from './log-metadata.ts';
import type { RecentEvent, RecentEvents } from './log-recent.ts';
import type { Appended, NewRecord, Storage } from './storage.ts';
import { tombstoneRevision } from './wire-record.ts';

const tombstoneType = '$streamDeleted';

/** An append that is to be decided upon: all that is known when it is. */
type Proposal = {
  readonly stream: string;
  readonly expected: Expected;
  readonly events: readonly NewRecord[];
  readonly described: StreamMetadata;
  readonly head: number | undefined;
};

/** The newest revision accepted; undefined when there is none. Throws StreamDeleted after a tombstone. */
export function headOf(storage: Storage, stream: string): number | undefined {
  const head = storage.head(stream)?.revision;
  if (head !== undefined && head >= tombstoneRevision) throw new StreamDeleted(stream);
  return head;
}

const isDeleted = ({ truncateBefore }: StreamMetadata) => truncateBefore >= deletedBefore;

function wrongRevision({ stream, expected, head, described }: Proposal): WrongExpectedRevision {
  return new WrongExpectedRevision(stream, expected, isDeleted(described) ? undefined : head);
}

export class StreamWrites {
  readonly #storage: Storage;
  readonly #metadata: MetadataCache;
  readonly #recent: RecentEvents;
  readonly #maxAppendBytes: number;

  constructor(storage: Storage, metadata: MetadataCache, recent: RecentEvents, maxAppendBytes: number) {
    this.#storage = storage;
    this.#metadata = metadata;
    this.#recent = recent;
    this.#maxAppendBytes = maxAppendBytes;
  }

  async append(stream: string, expected: Expected, events: readonly NewRecord[]): Promise<AppendOutcome> {
    checkName(stream);
    checkSize(events, this.#maxAppendBytes);
    const known = this.#metadata.of(stream);
    const described = known instanceof Promise ? await known : known;
    // From here to the storage's own append nothing waits, so what is checked is what is stored.
    const head = headOf(this.#storage, stream);
    if (isMetadataStream(stream)) headOf(this.#storage, describedStream(stream));
    const proposal = { stream, expected, events, described, head };
    const before = this.#decide(proposal);
    if (before !== undefined) return before;
    const deleted = isDeleted(described);
    if (events.length === 0) return { revision: deleted ? undefined : head, position: undefined };
    const firstRevision = (head ?? -1) + 1;
    // The stream is seen again from here on; its metadata goes first, so that no acknowledged event is ever hidden.
    const revived = deleted ? this.#storeMetadata(stream, described, `${firstRevision}`) : undefined;
    const stored = this.#store(stream, firstRevision, events);
    if (revived !== undefined) await Promise.all([revived, stored]);
    return stored;
  }

  /** Undefined: to be stored. A promise: has been stored before, with this outcome. Throws what it is refused for. */
  #decide(proposal: Proposal): Promise<AppendOutcome> | undefined {
    const { stream, expected, events, described, head } = proposal;
    const deleted = isDeleted(described);
    if (expected === 'any' || expected === 'streamExists') {
      const exists = !deleted && (head ?? this.#storage.head(metadataStream(stream))) !== undefined;
      if (expected === 'streamExists' && !exists) throw wrongRevision(proposal);
      return this.#repeatedAnywhere(proposal);
    }
    if (expected === 'noStream' && deleted) {
      const known = this.#recent.get(events.at(-1)?.id ?? '');
      return known?.stream === stream && known.revision === events.length - 1 ? outcomeOf(known) : undefined;
    }
    const before = expected === 'noStream' ? -1 : expected;
    if (before === (head ?? -1)) return undefined;
    if (events.length === 0 || before > (head ?? -1)) throw wrongRevision(proposal);
    return this.#repeatedAfter(before, proposal);
  }

  #repeatedAnywhere(proposal: Proposal): Promise<AppendOutcome> | undefined {
    const { stream, events } = proposal;
    let count = 0;
    let last: RecentEvent | undefined;
    for (const { id } of events) {
      const known = this.#recent.get(id);
      if (known?.stream !== stream) continue;
      count += 1;
      last = known;
    }
    if (last === undefined) return undefined;
    if (count < events.length) throw wrongRevision(proposal);
    return outcomeOf(last);
  }

  /** The append follows an older revision: the same events must be there, or it is refused. */
  async #repeatedAfter(before: number, proposal: Proposal): Promise<AppendOutcome> {
    const { stream, events, described } = proposal;
    const known = events.map(({ id }) => this.#recent.get(id));
    // Written again after a soft deletion, the first event of a "new" stream has not revision 0.
    const restarts = before === -1 && known[0]?.revision === described.truncateBefore;
    const first = restarts ? described.truncateBefore : before + 1;
    const inPlace = known.map((event, i) => event?.stream === stream && event.revision === first + i);
    const last = known.at(-1);
    if (last !== undefined && inPlace.every(same => same)) return outcomeOf(last);
    if (known.some((event, i) => event?.stream === stream && !inPlace[i])) throw wrongRevision(proposal);
    const count = events.length;
    const stored = await this.#storage.readStream(stream, first, 'forwards', count, this.#maxAppendBytes * 2);
    if (events.some(({ id }, i) => stored[i]?.id !== id || stored[i]?.revision !== first + i)) {
      throw wrongRevision(proposal);
    }
    return { revision: stored[count - 1]?.revision, position: stored[count - 1]?.position };
  }

  async softDelete(stream: string, expected: Expected): Promise<Appended> {
    checkName(stream);
    const described = await this.#metadata.of(stream);
    const head = this.#checkRemovable(stream, expected, described);
    if (head === undefined && this.#storage.head(metadataStream(stream)) === undefined) {
      throw new WrongExpectedRevision(stream, expected, undefined);
    }
    return this.#storeMetadata(stream, described, deletedBeforeText);
  }

  async tombstone(stream: string, expected: Expected): Promise<Appended> {
    checkName(stream);
    if (isMetadataStream(stream)) throw new InvalidRequest('A metadata stream goes with its stream.');
    this.#checkRemovable(stream, expected, await this.#metadata.of(stream));
    return this.#store(stream, tombstoneRevision, [systemEvent(tombstoneType, '')]);
  }

  #checkRemovable(stream: string, expected: Expected, described: StreamMetadata): number | undefined {
    const head = headOf(this.#storage, stream);
    const deleted = isDeleted(described);
    const fits =
      expected === 'any' ||
      (expected === 'noStream' && (head === undefined || deleted)) ||
      (expected === 'streamExists' && !deleted && head !== undefined) ||
      expected === head;
    if (!fits) throw new WrongExpectedRevision(stream, expected, deleted ? undefined : head);
    return head;
  }

  #store(stream: string, firstRevision: number, events: readonly NewRecord[]): Promise<Appended> {
    const append = this.#storage.append(stream, firstRevision, events);
    events.forEach(({ id }, i) => {
      this.#recent.add(id, { stream, revision: firstRevision + i, append, position: undefined });
    });
    append.catch(() => {
      for (const { id } of events) this.#recent.forget(id, append);
    });
    const last = events.at(-1);
    if (isMetadataStream(stream) && last !== undefined) {
      this.#metadata.accepted(describedStream(stream), last.data, append);
    }
    return append;
  }

  #storeMetadata(stream: string, described: StreamMetadata, truncateBefore: string): Promise<Appended> {
    const { $tb: _, ...rest } = described.json;
    const others = JSON.stringify(rest).slice(1, -1);
    const json = `{"$tb":${truncateBefore}${others === '' ? '' : `,${others}`}}`;
    const name = metadataStream(stream);
    const revision = (this.#storage.head(name)?.revision ?? -1) + 1;
    return this.#store(name, revision, [systemEvent(metadataType, json)]);
  }
}

async function outcomeOf(event: RecentEvent): Promise<AppendOutcome> {
  if (event.position !== undefined) return { revision: event.revision, position: event.position };
  const append = await event.append;
  return { revision: event.revision, position: append?.position };
}

function checkName(stream: string): void {
  if (stream === '') throw new InvalidRequest('A stream needs a name.');
  if (stream === '$all') throw new InvalidRequest('$all cannot be written to.');
  if (stream === '$$' || stream.startsWith('$$$$')) {
    throw new InvalidRequest(`'${stream}' is not the name of a stream.`);
  }
}

function checkSize(events: readonly NewRecord[], bytesMax: number): void {
  let size = 0;
  for (const { type, data, metadata } of events) size += data.length + metadata.length + 2 * type.length;
  if (size > bytesMax) throw new AppendTooLarge(bytesMax);
}

const noBytes = new Uint8Array();

function systemEvent(type: string, json: string): NewRecord {
  const data = Buffer.from(json);
  return { id: randomUUID(), type, contentType: 'application/json', data, metadata: noBytes };
}
