/** Checkpoints that somebody else has kept, held against a tree while it grows. */
import type { Checkpoint } from './checkpoint.ts';
import { type Edge, equal } from './merkle.ts';
import type { Difference } from './verify-difference.ts';

/** A checkpoint from elsewhere, with where it comes from. */
export type Known = { readonly source: string; readonly checkpoint: Checkpoint };

/** How far a source and the tree have been the same, the size at which they first were not, and the last at which they were. */
type Source = { sound: number; wrongAt: number | null; agreesAt: number | null; rootAt: Map<number, Buffer> };

export class KnownCheckpoints {
  readonly #waiting: Known[];
  readonly #sources = new Map<string, Source>();
  readonly #from: number;

  /** Those before `from` say nothing about what comes. */
  constructor(known: readonly Known[], from: number) {
    this.#from = from;
    this.#waiting = known
      .filter(({ checkpoint }) => checkpoint.size >= from)
      .toSorted((a, b) => a.checkpoint.size - b.checkpoint.size);
    for (const { source } of known)
      this.#sources.set(source, { sound: from, wrongAt: null, agreesAt: null, rootAt: new Map() });
  }

  /** The size of the next one, so that nobody asks in vain. */
  get nextSize(): number {
    return this.#waiting[0]?.checkpoint.size ?? Number.POSITIVE_INFINITY;
  }

  /** To be called with every size that `nextSize` names. */
  hold(edge: Edge): void {
    const root = edge.root();
    while (this.nextSize <= edge.size) {
      const { source, checkpoint } = this.#waiting.shift() as Known;
      const state = this.#sources.get(source);
      if (state === undefined || checkpoint.size < edge.size) continue;
      state.rootAt.set(checkpoint.size, checkpoint.root);
      if (!equal(root, checkpoint.root)) state.wrongAt ??= checkpoint.size;
      else if (state.wrongAt === null) [state.sound, state.agreesAt] = [checkpoint.size, checkpoint.size];
    }
  }

  /** Who has nothing else than the tree, as far as it goes. */
  get agreeing(): readonly string[] {
    return [...this.#sources].flatMap(([source, { wrongAt, agreesAt }]) =>
      wrongAt === null && agreesAt !== null ? [source] : [],
    );
  }

  /** What others have that the tree has not, once it is at its end. */
  *differences(size: number, position: bigint | null): Iterable<Difference> {
    for (const [source, some] of Map.groupBy(this.#waiting, ({ source }) => source)) {
      const before = (some.at(-1) as Known).checkpoint.size;
      const detail = `${source} has a checkpoint of ${before} events`;
      yield { kind: 'truncated', index: size, before, position, detail };
    }
    for (const [source, { sound, wrongAt }] of this.#sources) {
      if (wrongAt === null) continue;
      const other = this.#contradicting(source, wrongAt);
      const same = sound === this.#from ? 'nothing is known to be the same' : `of ${sound} they are the same`;
      const detail =
        other === undefined
          ? `${source} has a checkpoint of another history of ${wrongAt} events; ${same}`
          : `${source} was shown another history of ${wrongAt} events than ${other}; ${same}`;
      const kind = other === undefined ? 'rewritten' : 'forked';
      yield { kind, index: sound, before: wrongAt, position: null, detail };
    }
  }

  /**
   * Somebody else who has what this source has not: the tree at that size or a larger one, or another root of the same size.
   */
  #contradicting(source: string, wrongAt: number): string | undefined {
    const own = this.#sources.get(source)?.rootAt.get(wrongAt);
    for (const [other, { agreesAt, rootAt }] of this.#sources) {
      if (other === source) continue;
      const theirs = rootAt.get(wrongAt);
      if ((agreesAt ?? -1) >= wrongAt) return other;
      if (own !== undefined && theirs !== undefined && !equal(own, theirs)) return other;
    }
    return undefined;
  }
}
