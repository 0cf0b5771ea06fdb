/** What an event log is, in under a hundred lines: the model that test/eventstore/embedded/log-model.test.ts compares with. */

export type Expected = 'any' | 'no_stream' | 'stream_exists' | number;
/** `deleted`: it carries a tombstone. `missing`: it is not there, or softly deleted. */
export type Refused = 'wrong' | 'deleted' | 'missing';
type Kept = { maxCount?: number | undefined; truncateBefore?: number | undefined };
type Event = { readonly id: string; readonly revision: number };
type Stream = { events: Event[]; kept: Kept; isDeleted: boolean; isEnded: boolean; metadata: number };

const tombstone = '9223372036854775807';

export class LogModel {
  /** `stream@revision` of everything, in the order of `$all`. */
  readonly all: string[] = [];
  readonly #streams = new Map<string, Stream>();
  #last: { stream: string; ids: readonly string[]; expected: Expected; revision: number } | undefined;

  #of(name: string): Stream {
    const known = this.#streams.get(name);
    if (known !== undefined) return known;
    const stream: Stream = { events: [], kept: {}, isDeleted: false, isEnded: false, metadata: -1 };
    this.#streams.set(name, stream);
    return stream;
  }

  head(name: string): number {
    return this.#of(name).events.length - 1;
  }

  append(name: string, ids: readonly string[], expected: Expected): number | Refused {
    const stream = this.#of(name);
    if (stream.isEnded) return 'deleted';
    const head = stream.events.length - 1;
    const isThere = !stream.isDeleted && (head >= 0 || stream.metadata >= 0);
    if (expected === 'stream_exists' && !isThere) return 'wrong';
    if (expected === 'no_stream' && head >= 0 && !stream.isDeleted) return 'wrong';
    if (typeof expected === 'number' && expected !== head) return 'wrong';
    if (stream.isDeleted) this.#describe(name, { ...stream.kept, truncateBefore: head + 1 });
    for (const id of ids) {
      stream.events.push({ id, revision: stream.events.length });
      this.all.push(`${name}@${stream.events.length - 1}`);
    }
    this.#last = { stream: name, ids, expected, revision: stream.events.length - 1 };
    return stream.events.length - 1;
  }

  /** The last append that was stored, to be sent once more: it has to give the same, and change nothing. */
  get last() {
    const last = this.#last;
    if (last === undefined) return undefined;
    const { isEnded, isDeleted } = this.#of(last.stream);
    // Whether the stream is there is asked before whether the events are.
    if (isEnded || last.expected === 'no_stream' || (last.expected === 'stream_exists' && isDeleted)) {
      return undefined;
    }
    return last;
  }

  #describe(name: string, kept: Kept): void {
    const stream = this.#of(name);
    Object.assign(stream, { kept, isDeleted: false, metadata: stream.metadata + 1 });
    this.all.push(`$$${name}@${stream.metadata}`);
  }

  setMetadata(name: string, kept: Kept): Refused | undefined {
    if (this.#of(name).isEnded) return 'deleted';
    this.#describe(name, kept);
    return undefined;
  }

  softDelete(name: string): Refused | undefined {
    const stream = this.#of(name);
    if (stream.isEnded) return 'deleted';
    if (stream.events.length === 0 && stream.metadata < 0) return 'wrong';
    this.#describe(name, stream.kept);
    stream.isDeleted = true;
    return undefined;
  }

  tombstone(name: string): Refused | undefined {
    const stream = this.#of(name);
    if (stream.isEnded) return 'deleted';
    stream.isEnded = true;
    this.all.push(`${name}@${tombstone}`);
    return undefined;
  }

  read(name: string, from: number, isForwards: boolean, count: number): readonly Event[] | Refused {
    const { events, kept, isDeleted, isEnded } = this.#of(name);
    if (isEnded) return 'deleted';
    if (isDeleted || events.length === 0) return 'missing';
    const first = Math.max(kept.truncateBefore ?? 0, events.length - (kept.maxCount ?? events.length));
    const seen = events.filter(({ revision }) => revision >= first);
    if (isForwards) return seen.filter(({ revision }) => revision >= from).slice(0, count);
    return seen
      .filter(({ revision }) => revision <= from)
      .reverse()
      .slice(0, count);
  }
}
