/** How far a persistent subscription has come, noted in the log: one note at a time, the newest state each time. */
import type { Notes } from './persistent-notes.ts';

type Settled = {
  /** Everything up to this place of the source. */
  readonly place: number;
  /** Everything parked before this revision. */
  readonly parked: number;
};

type Options = {
  /** Where the group stands that has no checkpoint. */
  readonly beginAfter: number;
  /** What is settled now; asked for when it is noted. */
  settled(): Settled;
  onError(error: unknown): void;
};

export class Progress {
  readonly #notes: Notes;
  readonly #options: Options;
  #noting: Promise<void> = Promise.resolve();
  #loaded = false;
  #parked = 0;
  /** The place that has been noted; undefined: none yet. */
  checkpoint: number | undefined;
  /** When that was. */
  checkpointMs = Date.now();
  /** How many messages have been settled or passed over since. */
  count = 0;

  constructor(notes: Notes, options: Options) {
    this.#notes = notes;
    this.#options = options;
  }

  /** What has been noted before. */
  async load(): Promise<Settled> {
    this.checkpoint = await this.#notes.readCheckpoint();
    this.#parked = (await this.#notes.parkedRange()).first;
    this.#loaded = true;
    return { place: this.checkpoint ?? this.#options.beginAfter, parked: this.#parked };
  }

  /** Notes what has been replayed, and the checkpoint too if that is asked for. */
  note(withCheckpoint: boolean): void {
    const noted = this.#noting.then(() => this.#note(withCheckpoint));
    this.#noting = noted.catch(this.#options.onError);
  }

  async #note(withCheckpoint: boolean): Promise<void> {
    if (!this.#loaded) return;
    const { place, parked } = this.#options.settled();
    if (withCheckpoint && place !== (this.checkpoint ?? this.#options.beginAfter)) {
      const { count } = this;
      await this.#notes.writeCheckpoint(place);
      this.checkpoint = place;
      this.count -= count;
      this.checkpointMs = Date.now();
    }
    if (parked <= this.#parked) return;
    await this.#notes.forgetParked(parked);
    this.#parked = parked;
  }

  /** Notes no more until this is settled. It must not reject. */
  waitFor(work: Promise<void>): void {
    this.#noting = Promise.all([this.#noting, work]).then(() => undefined);
  }

  noted(): Promise<void> {
    return this.#noting;
  }
}
