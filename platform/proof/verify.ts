/**
 * Verifies an export without asking anybody: makes the tree again from its events, and holds it against every checkpoint in the
 * file and every one that somebody else has kept. What differs is located as closely as the file allows: the hashes that the
 * tree has kept beside the events are as good as signed wherever they lead to a signed root.
 */
import { type Checkpoint, chainAfter, parseCheckpoint } from './checkpoint.ts';
import { exportTitle } from './export-format.ts';
import { trustedKeys } from './key-change.ts';
import { type Edge, equal, hashBytes, openEdge, peakHeights } from './merkle.ts';
import { NoteError, readVerifier, type Verifier, verifyNote } from './note.ts';
import { tileWidth } from './tiles.ts';
import { type Chunk, noPosition } from './verify-chunk.ts';
import { type Difference, differencesIn } from './verify-difference.ts';
import { type Known, KnownCheckpoints } from './verify-known.ts';

/** Of each kind; more are as good as none. */
const differencesMax = 50;

const headWords: ReadonlySet<string> = new Set(['origin', 'from', 'peak', 'key', 'change']);

export type VerifyOptions = {
  /** Undefined: the keys the file names are believed, which proves no more than that it fits together. */
  readonly key: Verifier | undefined;
  readonly known?: readonly Known[];
};

export type Verified = {
  readonly origin: string;
  readonly from: number;
  readonly size: number;
  readonly root: Buffer;
  /** That were signed by a trusted key and hold, and how many events lie at or before the last of them. */
  readonly checkpoints: number;
  readonly signedSize: number;
  readonly keys: readonly Verifier[];
  /** From elsewhere, that hold. */
  readonly agreeing: readonly string[];
  readonly differences: readonly Difference[];
};

export type ExportVerifier = { add(chunk: Chunk): void; end(): Verified };

export function openVerifier(options: VerifyOptions): ExportVerifier {
  const state = new ExportState(options);
  return {
    add(chunk) {
      let from = 0;
      for (const { after, text } of chunk.lines) {
        state.leaves(chunk, from, after);
        from = after;
        state.line(text);
      }
      state.leaves(chunk, from, chunk.positions.length);
    },
    end: () => state.end(),
  };
}

type Pending = { readonly checkpoint: Checkpoint; readonly after: number };

class ExportState {
  readonly #options: VerifyOptions;
  readonly #differences: Difference[] = [];
  readonly #fileKeys: Verifier[] = [];
  readonly #changes: string[] = [];
  readonly #peaks: Buffer[] = [];
  #known: KnownCheckpoints | undefined;
  #trusted: readonly Verifier[] | undefined;
  #edge: Edge | undefined;
  #chain: Buffer = Buffer.alloc(hashBytes);
  #origin = '';
  #from = 0;
  #ended: number | undefined;
  #lines = 0;
  /** Behind a gap nothing can be verified any more. */
  #isBroken = false;
  #lastPosition: bigint | null = null;
  #checkpoints = 0;
  #signedSize = 0;
  #soundSize = 0;
  /** Since the last tile. */
  #hashes: Uint8Array[] = [];
  #positions: bigint[] = [];
  #waiting: Pending[] = [];

  constructor(options: VerifyOptions) {
    this.#options = options;
  }

  leaves({ hashes, positions }: Chunk, from: number, to: number): void {
    if (to === from || this.#isBroken) return;
    this.#hashes.push(hashes.subarray(from * hashBytes, to * hashBytes));
    for (let n = from; n < to; n += 1) this.#positions.push(positions[n] as bigint);
  }

  line(text: string): void {
    this.#lines += 1;
    if (this.#lines === 1) {
      if (text !== exportTitle) this.#say('malformed', `it does not begin with "${exportTitle}"`);
      return;
    }
    if (this.#isBroken) return;
    const space = text.indexOf(' ');
    const [word, rest] = space < 0 ? [text, ''] : [text.slice(0, space), text.slice(space + 1)];
    try {
      this.#take(word, rest);
    } catch (error) {
      if (!(error instanceof NoteError) && !(error instanceof RangeError)) throw error;
      this.#say('malformed', `line ${this.#lines} (${word}): ${error.message}`);
    }
  }

  #take(word: string, rest: string): void {
    if (this.#ended !== undefined) throw new RangeError('it has ended already');
    const hasBegun = this.#edge !== undefined || this.#positions.length > 0;
    if (hasBegun && headWords.has(word)) throw new RangeError('it belongs before the first leaf');
    if (word === 'origin') this.#origin = rest;
    else if (word === 'from') {
      const [index = '', chain = ''] = rest.split(' ');
      this.#from = wholeNumber(index);
      this.#chain = hashOf(chain);
    } else if (word === 'peak') this.#peaks.push(hashOf(rest));
    else if (word === 'key') this.#fileKeys.push(readVerifier(rest));
    else if (word === 'change') this.#changes.push(textOf(rest));
    else if (word === 'checkpoint')
      this.#waiting.push({ checkpoint: parseCheckpoint(textOf(rest)), after: this.#positions.length });
    else if (word === 'tile') {
      const [index = '', hashes = ''] = rest.split(' ');
      this.#tile(wholeNumber(index), Buffer.from(hashes, 'base64'));
    } else if (word === 'end') this.#ended = wholeNumber(rest);
    else throw new RangeError('there is no such line');
  }

  #open(): Edge {
    if (this.#edge !== undefined) return this.#edge;
    const heights = peakHeights(this.#from).length;
    if (this.#peaks.length !== heights)
      this.#say('malformed', `there have to be ${heights} peaks before leaf ${this.#from}`);
    this.#edge = openEdge(
      this.#from,
      this.#peaks.length === heights ? this.#peaks : Array(heights).fill(Buffer.alloc(hashBytes)),
    );
    this.#soundSize = this.#from;
    this.#signedSize = this.#from;
    const { key, known = [] } = this.#options;
    const anchors = key === undefined ? this.#fileKeys : [key];
    this.#trusted = anchors.flatMap(anchor => trustedKeys(anchor, this.#changes));
    const ours = known.filter(one => this.#isOurs(one));
    this.#known = new KnownCheckpoints(ours, this.#from);
    if (this.#known.nextSize <= this.#from) this.#known.hold(this.#edge);
    return this.#edge;
  }

  /** Of those from elsewhere only what this log has signed says anything about it. */
  #isOurs({ source, checkpoint }: Known): boolean {
    if (checkpoint.origin !== this.#origin) return false;
    if (this.#isSigned(checkpoint)) return true;
    this.#say(
      'unsigned',
      `no trusted key has signed the checkpoint of ${checkpoint.size} events from ${source}`,
    );
    return false;
  }

  #isSigned({ parsed }: Checkpoint): boolean {
    try {
      return verifyNote(parsed, this.#trusted ?? []).length > 0;
    } catch (error) {
      if (error instanceof NoteError) return false;
      throw error;
    }
  }

  /** The leaves since the last tile, beside what the tree has kept of them. */
  #tile(index: number, kept: Buffer): void {
    const edge = this.#open();
    if (index > edge.size) {
      this.#say('missing', `there is nothing of the leaves up to ${index - 1}, so the rest proves nothing`, {
        before: index,
      });
      this.#isBroken = true;
      return;
    }
    if (
      index < edge.size ||
      kept.length === 0 ||
      kept.length % hashBytes !== 0 ||
      kept.length > tileWidth * hashBytes
    )
      throw new RangeError(`it cannot follow leaf ${edge.size}`);
    const found = { hashes: Buffer.concat(this.#hashes), positions: this.#positions };
    for (const difference of differencesIn(index, found, kept, this.#lastPosition)) this.#add(difference);
    this.#checkOrder(index);
    const count = kept.length / hashBytes;
    let next = 0;
    for (let n = 0; n < count; n += 1) {
      const hash = kept.subarray(n * hashBytes, (n + 1) * hashBytes);
      edge.push(hash);
      this.#chain = chainAfter(this.#chain, hash);
      for (
        let waiting = this.#waiting[next];
        waiting?.checkpoint.size === edge.size;
        waiting = this.#waiting[next]
      ) {
        next += 1;
        this.#hold(waiting.checkpoint);
      }
      if (this.#known !== undefined && this.#known.nextSize <= edge.size) this.#known.hold(edge);
    }
    for (const { checkpoint } of this.#waiting.slice(next))
      this.#say('malformed', `a checkpoint of ${checkpoint.size} events stands behind ${edge.size}`);
    this.#lastPosition = this.#positions.findLast(position => position !== noPosition) ?? this.#lastPosition;
    this.#hashes = [];
    this.#positions = [];
    this.#waiting = [];
  }

  #checkOrder(index: number): void {
    let last = this.#lastPosition;
    for (const [n, position] of this.#positions.entries()) {
      if (position === noPosition)
        this.#say('malformed', 'a leaf does not say its position', { index: index + n });
      else if (last !== null && position <= last)
        this.#say('reordered', 'its position is not behind that of the one before', {
          index: index + n,
          position,
        });
      if (position !== noPosition) last = position;
    }
  }

  /** A checkpoint of the file: signed, and over exactly these leaves. */
  #hold(checkpoint: Checkpoint): void {
    const edge = this.#open();
    if (checkpoint.origin !== this.#origin || !this.#isSigned(checkpoint)) {
      this.#say('unsigned', `no trusted key has signed the checkpoint of ${checkpoint.size} events`);
      return;
    }
    const isSame =
      equal(edge.root(), checkpoint.root) &&
      (checkpoint.chain === null || equal(this.#chain, checkpoint.chain));
    if (!isSame) {
      this.#rewritten(checkpoint.size, 'the checkpoint in the file');
      return;
    }
    this.#checkpoints += 1;
    this.#signedSize = checkpoint.size;
    this.#soundSize = Math.max(this.#soundSize, checkpoint.size);
  }

  #rewritten(size: number, source: string): void {
    const detail = `${source} has signed another history of ${size} events; of ${this.#soundSize} they are the same`;
    this.#say('rewritten', detail, { index: this.#soundSize, before: size });
  }

  end(): Verified {
    const edge = this.#open();
    if (!this.#isBroken) this.#checkEnd(edge);
    return {
      origin: this.#origin,
      from: this.#from,
      size: edge.size,
      root: edge.root(),
      checkpoints: this.#checkpoints,
      signedSize: this.#signedSize,
      keys: this.#trusted ?? [],
      agreeing: this.#known?.agreeing ?? [],
      differences: this.#differences,
    };
  }

  #checkEnd(edge: Edge): void {
    if (this.#positions.length > 0) this.#say('truncated', 'the last leaves have no tile behind them');
    if (this.#ended === undefined) this.#say('truncated', 'the last line is missing');
    else if (this.#ended !== edge.size)
      this.#say('truncated', `it says it ends at ${this.#ended}`, { before: this.#ended });
    for (const difference of this.#known?.differences(edge.size, this.#lastPosition) ?? [])
      this.#add(difference);
    if (this.#signedSize < edge.size)
      this.#say('unsigned', `no checkpoint covers the events from here on`, {
        index: this.#signedSize,
        before: edge.size,
      });
  }

  #say(
    kind: Difference['kind'],
    detail: string,
    {
      index = this.#edge?.size ?? this.#from,
      before = null,
      position = this.#lastPosition,
    }: Partial<Difference> = {},
  ): void {
    this.#add({ kind, index, before, position, detail });
  }

  #add(difference: Difference): void {
    const ofKind = this.#differences.filter(({ kind }) => kind === difference.kind);
    if (ofKind.length < differencesMax) this.#differences.push(difference);
  }
}

function wholeNumber(text: string): number {
  if (!/^(0|[1-9]\d{0,15})$/.test(text)) throw new RangeError(`"${text}" is no number`);
  return Number(text);
}

function hashOf(text: string): Buffer {
  const bytes = Buffer.from(text, 'base64');
  if (bytes.length !== hashBytes) throw new RangeError('this is no hash');
  return bytes;
}

const textOf = (text: string) => Buffer.from(text, 'base64').toString('utf8');
