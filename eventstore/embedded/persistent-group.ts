/**
 * One persistent subscription at work: reads its source while there is room, hands messages to consumers, takes their
 * answers, and notes in the log how far it has come. Memory is bounded by its buffer, whoever is slow.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { EventLog } from './log.ts';
import {
  type Consumer,
  give,
  noteAnswer,
  openStrategy,
  type Strategy,
  takeBack,
} from './persistent-consumer.ts';
import { type GroupName, subscribersReached, subscriptionDropped } from './persistent-errors.ts';
import { type Message, Messages } from './persistent-messages.ts';
import { Notes } from './persistent-notes.ts';
import { Progress } from './persistent-progress.ts';
import { bufferSizeOf, type Settings } from './persistent-settings.ts';
import { openSource, type Source } from './persistent-source.ts';
import { type CallFailed, callFailure, status } from './server-status.ts';
import type { StoredRecord } from './storage.ts';
import { isLink } from './streams-frames.ts';

/** What a consumer may say of a message that it could not work on. */
export const nackActions = ['unknown', 'park', 'retry', 'skip', 'stop'] as const;
export type NackAction = (typeof nackActions)[number];

/** Messages that are read and not settled hold no more than this. */
const unsettledBytesMax = 4 * 1024 * 1024;
const readRecordsMax = 500;
const sweepMsMax = 1_000;
const sweepMsMin = 10;
/** What is late is looked for so many times within its time. */
const sweepsPerTimeout = 4;

export type GroupOptions = {
  readonly log: EventLog;
  readonly name: GroupName;
  readonly settings: Settings;
  /** The place behind which it begins without a checkpoint. */
  readonly beginAfter: number;
  /** What goes wrong behind the consumers' backs. */
  onError(error: unknown): void;
};

export class Group {
  readonly name: GroupName;
  readonly settings: Settings;
  readonly source: Source;
  readonly messages = new Messages();
  readonly consumers: Consumer[] = [];
  readonly #log: EventLog;
  readonly #notes: Notes;
  readonly #strategy: Strategy;
  readonly progress: Progress;
  readonly #onError: (error: unknown) => void;
  readonly #aborter = new AbortController();
  readonly #bufferSize: number;
  #opened: Promise<void> | undefined;
  #pumping: Promise<void> = Promise.resolve();
  #sweep: NodeJS.Timeout | undefined;
  #kick: () => void = () => undefined;
  #stopped = false;
  cursor = 0;
  live = false;
  settled = 0;
  readonly sinceMs = Date.now();
  #atMeasurement = 0;
  #nextParked = 0;
  #replayTo = 0;

  constructor({ log, name, settings, beginAfter, onError }: GroupOptions) {
    this.name = name;
    this.settings = settings;
    this.source = openSource(log, name, settings);
    this.#log = log;
    this.#notes = new Notes(log, name);
    this.#strategy = openStrategy(settings.strategy);
    this.progress = new Progress(this.#notes, { beginAfter, onError, settled: () => this.#settledSoFar() });
    this.#onError = onError;
    this.#bufferSize = bufferSizeOf(settings);
  }

  /** Reads what it has noted. Nothing is read before somebody asks for the group. */
  open(): Promise<void> {
    this.#opened ??= this.#load().catch(error => {
      this.#opened = undefined;
      throw error;
    });
    return this.#opened;
  }

  async #load(): Promise<void> {
    const { place, parked } = await this.progress.load();
    this.cursor = place;
    this.#nextParked = parked;
    this.#replayTo = parked;
  }

  #settledSoFar() {
    const place = this.messages.settledPlace(this.cursor);
    return { place, parked: this.messages.settledParked(this.#nextParked) };
  }

  /** Throws the failure that clients know when there are too many already. */
  join(consumer: Consumer): void {
    const { maxSubscriberCount } = this.settings;
    if (this.#stopped) throw subscriptionDropped(this.name);
    if (maxSubscriberCount > 0 && this.consumers.length >= maxSubscriberCount)
      throw subscribersReached(this.name);
    this.consumers.push(consumer);
    if (this.consumers.length === 1) {
      const { messageTimeoutMs, checkpointAfterMs } = this.settings;
      const timeoutMs = messageTimeoutMs === 0 ? sweepMsMax : messageTimeoutMs / sweepsPerTimeout;
      const sweepMs = Math.max(sweepMsMin, Math.min(sweepMsMax, timeoutMs, checkpointAfterMs || sweepMsMax));
      this.#sweep ??= setInterval(() => this.#onSweep(), sweepMs);
      this.#pumping = this.#pumping.then(() => this.#pump());
    }
    this.#dispatch();
  }

  /** What the consumer has not answered goes to the others. */
  leave(consumer: Consumer): void {
    const at = this.consumers.indexOf(consumer);
    if (at < 0) return;
    this.consumers.splice(at, 1);
    for (const id of [...consumer.inFlight.keys()]) {
      const message = takeBack(consumer, id)?.message;
      if (message !== undefined) this.#retry(message, 'The consumer has gone.');
    }
    if (this.consumers.length === 0) this.#rest();
    this.#dispatch();
  }

  #rest(): void {
    if (this.#sweep !== undefined) clearInterval(this.#sweep);
    this.#sweep = undefined;
    this.#kick();
    if (!this.#stopped) this.progress.note(true);
  }

  ack(consumer: Consumer, ids: readonly string[]): void {
    for (const id of ids) {
      const found = takeBack(consumer, id);
      if (found === undefined) continue;
      noteAnswer(consumer, found);
      this.#settle(found.message);
    }
    this.#afterAnswers();
  }

  nack(consumer: Consumer, ids: readonly string[], action: NackAction, reason: string): void {
    for (const id of ids) {
      const found = takeBack(consumer, id);
      if (found === undefined) continue;
      noteAnswer(consumer, found);
      const { message } = found;
      if (action === 'park') this.#park(message, reason);
      else if (action === 'skip') this.#settle(message);
      else this.#retry(message, reason);
    }
    if (action === 'stop') {
      consumer.drop(subscriptionDropped(this.name));
      this.leave(consumer);
    }
    this.#afterAnswers();
  }

  #afterAnswers(): void {
    const { maxCheckpointCount } = this.settings;
    if (maxCheckpointCount > 0 && this.progress.count >= maxCheckpointCount) this.progress.note(true);
    this.#dispatch();
    this.#kick();
  }

  #settle(message: Message): void {
    this.messages.settle(message);
    this.settled += 1;
    this.progress.count += 1;
  }

  #retry(message: Message, reason: string): void {
    if (message.retries >= this.settings.maxRetryCount) {
      this.#park(message, reason === '' ? 'Too many retries.' : reason);
      return;
    }
    message.retries += 1;
    this.messages.retry(message);
  }

  #park(message: Message, reason: string): void {
    const parking = this.#notes.park(message.record, message.parkedRevision !== undefined, reason);
    const parked = parking.then(
      () => {
        this.#settle(message);
        this.#afterAnswers();
      },
      error => {
        // It could not be stored, so it is still to be worked on.
        this.#onError(error);
        this.messages.retry(message);
      },
    );
    this.progress.waitFor(parked);
  }

  #dispatch(): void {
    if (this.consumers.length === 0) return;
    this.messages.dispatch(message => {
      const consumer = this.#strategy.choose(message, this.consumers);
      if (consumer !== undefined) {
        give(consumer, message);
        return 'sent';
      }
      const isRoom =
        this.#strategy.overtakes && this.consumers.some(({ inFlight, slots }) => inFlight.size < slots);
      return isRoom ? 'next' : 'stop';
    });
  }

  #onSweep(): void {
    const { messageTimeoutMs } = this.settings;
    const lateMs = Date.now() - messageTimeoutMs;
    for (const consumer of messageTimeoutMs === 0 ? [] : this.consumers) {
      for (const [id, { message, sentMs }] of consumer.inFlight) {
        // The oldest come first.
        if (sentMs > lateMs) break;
        takeBack(consumer, id);
        this.#retry(message, 'The consumer did not answer in time.');
      }
    }
    this.#dispatch();
    this.#kick();
    const { checkpointAfterMs, minCheckpointCount } = this.settings;
    const isDue = Date.now() - this.progress.checkpointMs >= checkpointAfterMs;
    this.progress.note(isDue && this.progress.count >= Math.max(1, minCheckpointCount));
  }

  async #pump(): Promise<void> {
    const signal = this.#aborter.signal;
    if (this.consumers.length === 0 || signal.aborted) return;
    const listening = new AbortController();
    const stream = this.source.isAll ? undefined : this.name.stream;
    void this.#follow(stream, AbortSignal.any([signal, listening.signal]));
    try {
      while (this.consumers.length > 0 && !signal.aborted) {
        const kicked = new Promise<void>(resolve => {
          this.#kick = resolve;
        });
        if (!this.#hasRoom()) {
          await kicked;
          continue;
        }
        if (await this.#readReplayed()) continue;
        const page = await this.source.read(this.cursor, this.#readLimit());
        await this.#take(page);
        this.live = page.length === 0;
        if (this.live) await kicked;
        else await nextTurn();
      }
    } catch (error) {
      const failure = this.#failureOf(error);
      for (const consumer of [...this.consumers]) {
        consumer.drop(failure);
        this.leave(consumer);
      }
    } finally {
      listening.abort();
      // Who comes next begins with what nobody has seen.
      const place = this.messages.forgetUnsent(this.cursor, this.#nextParked);
      this.cursor = place.cursor;
      this.#nextParked = place.nextParked;
    }
  }

  /** A commit is one more reason to look; one that comes while a page is read is not missed. */
  async #follow(stream: string | undefined, signal: AbortSignal): Promise<void> {
    const waiter = this.#log.wakes.listen(stream, signal);
    while (!signal.aborted) {
      await waiter.next();
      this.#kick();
    }
  }

  #failureOf(error: unknown): CallFailed {
    const failure = callFailure(error);
    if (failure.code === status.internal) this.#onError(error);
    return failure;
  }

  #hasRoom(): boolean {
    const { size, bytes, waiting } = this.messages;
    return size === 0 || (waiting.length < this.#bufferSize && bytes < unsettledBytesMax);
  }

  #readLimit(): number {
    return Math.max(1, Math.min(readRecordsMax, this.#bufferSize - this.messages.waiting.length));
  }

  async #take(page: readonly StoredRecord[]): Promise<void> {
    for (const record of page) {
      const before = this.cursor;
      this.cursor = this.source.place(record);
      if (this.source.includes(record)) await this.#add(record, before, undefined);
      else this.progress.count += 1;
    }
    this.#dispatch();
  }

  async #add(record: StoredRecord, before: number, parkedRevision: number | undefined): Promise<void> {
    let event: StoredRecord | undefined;
    if (isLink(record) && (this.settings.resolveLinks || parkedRevision !== undefined)) {
      event = await this.#log.resolve(record);
      if (
        event !== undefined &&
        parkedRevision !== undefined &&
        this.settings.resolveLinks &&
        isLink(event)
      ) {
        event = await this.#log.resolve(event);
      }
      // What a link points to may have been deleted since: there is nothing to work on.
      if (event === undefined) {
        this.progress.count += 1;
        return;
      }
    }
    this.messages.add({ record, event, before, parkedRevision });
  }

  async #readReplayed(): Promise<boolean> {
    if (this.#nextParked >= this.#replayTo) return false;
    const limit = Math.min(this.#readLimit(), this.#replayTo - this.#nextParked);
    const page = await this.#notes.readParked(this.#nextParked, limit);
    for (const link of page) {
      await this.#add(link, this.cursor, link.revision);
      this.#nextParked = link.revision + 1;
    }
    if (page.length === 0) this.#nextParked = this.#replayTo;
    this.#dispatch();
    return true;
  }

  /** Sends again what is parked, up to the parked revision `stopAt`. */
  async replay(stopAt: number | undefined): Promise<void> {
    await this.open();
    const { next } = await this.#notes.parkedRange();
    this.#replayTo = Math.max(this.#replayTo, Math.min(next, stopAt ?? next));
    this.#kick();
  }

  /** How many messages have been settled since this was last asked. */
  sinceMeasured(): number {
    const count = this.settled - this.#atMeasurement;
    this.#atMeasurement = this.settled;
    return count;
  }

  /** How many messages are parked and not being replayed. */
  async parkedCount(): Promise<number> {
    const { first, next } = await this.#notes.parkedRange();
    return Math.max(0, next - Math.max(first, this.#nextParked));
  }

  /** Ends the group; its consumers are told why. Resolves when what has been settled is noted. */
  async stop(failure: CallFailed): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    for (const consumer of this.consumers.splice(0)) consumer.drop(failure);
    this.#aborter.abort();
    this.#rest();
    await this.#pumping;
    this.progress.note(true);
    await this.progress.noted();
  }

  /** Takes away what it has noted. Only after `stop`. */
  remove(): Promise<void> {
    return this.#notes.remove();
  }
}
