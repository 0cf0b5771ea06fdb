/**
 * Writers, followers and an executioner: 32 streams are written to and followed through the application's own client,
 * while the server is killed again and again. What was acknowledged is on record here, and is asked for after each start.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Recorded } from '../../../domain/events.ts';
import { verifyStorage } from '../../../eventstore/embedded/segment-verify.ts';
import { openLog } from '../../../eventstore/esdb.ts';
import { type EventStore, LogUnavailable, type NewEvent } from '../../../eventstore/store.ts';
import { newEvent } from '../../contract/eventstore.ts';
import type { CrashOptions } from './crash-server.ts';

const writersMax = 32;
const startMsMax = 20_000;
const entry = path.join(import.meta.dirname, 'crash-server.ts');

/** Of a stream that nobody asks about later: a scavenge may take it. */
export const junkPrefix = 'junk-';
const prefixes = ['work-', junkPrefix];

type Failure = { readonly name: string; readonly message: string; readonly position?: number };

type Started = { readonly port?: number; readonly failure?: Failure };

type Server = {
  readonly child: ChildProcess;
  open(): Promise<Started>;
  kill(): Promise<void>;
};

/** A process that has loaded its program, or is about to, and waits for `open`. */
function spawnServer(directory: string, options: CrashOptions): Server {
  const child = fork(entry, [directory, JSON.stringify(options)], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const ended = new Promise<void>(resolve => child.once('exit', () => resolve()));
  return {
    child,
    open() {
      const told = new Promise<Started>(resolve =>
        child.once('message', message => resolve(message as Started)),
      );
      child.send({ open: true });
      return Promise.race([told, ended.then(() => ({})), pause(startMsMax, {}, { ref: false })]);
    },
    async kill() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

type Acknowledged = { readonly id: string; readonly revision: bigint; readonly position: bigint | undefined };

/** Appends to one stream, one after another; what is not answered is sent again as it was. */
class Writer {
  readonly stream: string;
  stored: Acknowledged[] = [];
  pending: { readonly events: readonly NewEvent[]; readonly expected: bigint | 'none' } | undefined;
  acknowledged = 0;

  constructor(stream: string) {
    this.stream = stream;
  }

  async write(store: EventStore, isOver: () => boolean, onFailure: (error: unknown) => void): Promise<void> {
    while (!isOver()) {
      this.pending ??= {
        events: Array.from({ length: 1 + (this.stored.length % 3) }, () =>
          newEvent({ text: 'x'.repeat(200) }),
        ),
        expected: this.stored.at(-1)?.revision ?? 'none',
      };
      try {
        const { position } = await store.append(this.stream, this.pending.events, this.pending.expected);
        this.#acknowledge(position);
      } catch (error) {
        if (!(error instanceof LogUnavailable)) throw error;
        onFailure(error);
        await pause(2);
      }
    }
  }

  #acknowledge(position: bigint): void {
    const { events = [], expected = 'none' } = this.pending ?? {};
    const first = expected === 'none' ? 0n : expected + 1n;
    for (const [at, { id }] of events.entries()) {
      const isLast = at === events.length - 1;
      this.stored.push({ id, revision: first + BigInt(at), position: isLast ? position : undefined });
    }
    this.pending = undefined;
    this.acknowledged += 1;
  }

  /** Every acknowledged event is there once, at its place; of an append without an answer all is there or nothing. */
  check(found: readonly Recorded[]): void {
    const answered = this.stored.length;
    const open = this.pending?.events.map(({ id }) => id) ?? [];
    assert.ok(
      found.length === answered || found.length === answered + open.length,
      `${this.stream} has ${found.length} events; ${answered} were acknowledged, ${open.length} are open`,
    );
    for (const [at, event] of found.entries()) {
      const wanted = this.stored[at];
      assert.equal(event.revision, BigInt(at), `${this.stream} has a hole at ${at}`);
      assert.equal(event.id, wanted?.id ?? open[at - answered], `${this.stream}@${at} is another event`);
      if (wanted?.position !== undefined) assert.equal(event.position, wanted.position);
    }
  }

  /** Of a scavenged stream the newest event stays: an acknowledged one, or the last of the append without an answer. */
  checkLast(last: Recorded | undefined): void {
    // Its other events may be gone, so that sending it again would not be recognised.
    if (last !== undefined && last.id === this.pending?.events.at(-1)?.id) this.#acknowledge(last.position);
    const { id, revision, position } = this.stored.at(-1) ?? {};
    assert.deepEqual([last?.id, last?.revision, last?.position], [id, revision, position]);
  }
}

/** Follows everything, each time from where it was; must see each event exactly once. */
class Follower {
  readonly seen: Recorded[] = [];
  #position: bigint | 'start' = 'start';

  async follow(store: EventStore, signal: AbortSignal): Promise<void> {
    const options = { from: this.#position, streamPrefixes: ['work-'], signal };
    for await (const { events, position } of store.subscribe(options)) {
      this.seen.push(...events);
      if (position !== null) this.#position = position;
    }
  }
}

async function everything(store: EventStore, events: Recorded[] = []): Promise<Recorded[]> {
  const aborter = new AbortController();
  for await (const batch of store.subscribe({
    from: 'start',
    streamPrefixes: prefixes,
    signal: aborter.signal,
  })) {
    events.push(...batch.events);
    if (batch.caughtUp) break;
  }
  aborter.abort();
  return events;
}

export class CrashHarness {
  readonly directory: string;
  readonly options: CrashOptions;
  readonly writers: Writer[];
  readonly #followers = [new Follower(), new Follower()];
  #spare: Server | undefined;
  kills = 0;
  starts = 0;
  refusals = 0;

  constructor(directory: string, options: CrashOptions) {
    mkdirSync(directory);
    this.directory = directory;
    this.options = options;
    this.writers = Array.from({ length: writersMax }, (_, at) => {
      const isJunk = options.scavenged !== undefined && at % 4 === 3;
      return new Writer(`${isJunk ? junkPrefix : 'work-'}${at}`);
    });
  }

  get acknowledged(): number {
    return this.writers.reduce((sum, { acknowledged }) => sum + acknowledged, 0);
  }

  /** The process of the next life starts during this one. */
  #takeServer(): Server {
    const server = this.#spare ?? spawnServer(this.directory, this.options);
    this.#spare = spawnServer(this.directory, this.options);
    return server;
  }

  async close(): Promise<void> {
    await this.#spare?.kill();
  }

  /** Killed while it starts, at whatever it is about then. */
  async killAtStart(afterMs: number): Promise<void> {
    const server = this.#takeServer();
    await Promise.race([server.open(), pause(afterMs)]);
    await server.kill();
    this.kills += 1;
  }

  /** Opens the log, does what is asked, and kills the server. */
  async #visit(act: (store: EventStore, server: Server) => Promise<void>): Promise<void> {
    const server = this.#takeServer();
    const { port, failure } = await server.open();
    assert.ok(port !== undefined, `did not start: ${failure?.message ?? 'no answer'}`);
    this.starts += 1;
    const log = openLog(`esdb://127.0.0.1:${port}?tls=false`);
    try {
      await act(log.store, server);
    } finally {
      await server.kill();
      await log.close();
    }
  }

  /** One life: everything is checked, then written to and followed, `until` is waited for, and the server is killed. */
  async live(until: (server: Server, isAcknowledging: () => Promise<void>) => Promise<void>): Promise<void> {
    const { problems } = await verifyStorage(this.directory);
    assert.deepEqual(problems, []);
    const over = new AbortController();
    await this.#visit(async (store, server) => {
      await this.#check(store);
      const following = this.#followers.map(follower => follower.follow(store, over.signal));
      const note = () => {
        if (!over.signal.aborted) this.refusals += 1;
      };
      const writing = this.writers.map(writer => writer.write(store, () => over.signal.aborted, note));
      const failed = Promise.all([...following, ...writing]);
      await Promise.race([until(server, () => this.#nextAcknowledgements()), failed]);
      await server.kill();
      this.kills += 1;
      over.abort();
      await failed;
    }).finally(() => over.abort());
  }

  /** Opens the log and checks everything; nothing is written. */
  look(): Promise<void> {
    return this.#visit(store => this.#check(store));
  }

  /** Of a log that is damaged at the position: the start names it, or reads do, and serve all before it and nothing of it. */
  async lookAtDamage(position: bigint, stream: string): Promise<'start' | 'reads'> {
    const server = this.#takeServer();
    const { port, failure } = await server.open();
    if (port === undefined) {
      assert.deepEqual([failure?.name, failure?.position], ['StorageFailed', Number(position)]);
      await server.kill();
      return 'start';
    }
    const log = openLog(`esdb://127.0.0.1:${port}?tls=false`);
    try {
      const served: Recorded[] = [];
      const named = new RegExp(`damaged at position ${position}\\b`);
      await assert.rejects(everything(log.store, served), named);
      assert.ok(served.every(event => event.position < position));
      const { seen } = this.#followers[0] ?? { seen: [] };
      const before = seen.filter(event => event.position < position);
      assert.deepEqual(served.slice(0, before.length), before);
      await assert.rejects(log.store.load(stream), named);
      return 'reads';
    } finally {
      await server.kill();
      await log.close();
    }
  }

  async #nextAcknowledgements(): Promise<void> {
    const { acknowledged } = this;
    const giveUp = Date.now() + startMsMax;
    while (this.acknowledged < acknowledged + writersMax) {
      assert.ok(Date.now() < giveUp, 'nothing is acknowledged any more');
      await pause(1);
    }
  }

  /** What `$all` has, what each stream has, and what the writers and followers know of, are one and the same. */
  async #check(store: EventStore): Promise<void> {
    const all = await everything(store);
    for (const [at, { position }] of all.entries())
      assert.ok(at === 0 || position > (all[at - 1]?.position ?? 0n));
    const byStream = Map.groupBy(all, ({ stream }) => stream);
    for (const writer of this.writers) {
      const { events } = await store.load(writer.stream);
      // A scavenge goes on meanwhile: of what it may take, both have the newest at least.
      if (writer.stream.startsWith(junkPrefix)) {
        writer.checkLast(events.at(-1));
        writer.checkLast(byStream.get(writer.stream)?.at(-1));
        continue;
      }
      assert.deepEqual(events, byStream.get(writer.stream) ?? [], `two orders of ${writer.stream}`);
      writer.check(events);
    }
    const work = all.filter(({ stream }) => !stream.startsWith(junkPrefix));
    for (const { seen } of this.#followers) {
      assert.deepEqual(
        seen.map(({ id, position }) => `${position} ${id}`),
        work.slice(0, seen.length).map(({ id, position }) => `${position} ${id}`),
        'a follower has not seen each event exactly once',
      );
    }
  }

  /** A last look: everything is followed to its end, and checked. */
  async finish(): Promise<void> {
    await this.#visit(async store => {
      await this.#check(store);
      const work = (await everything(store)).filter(({ stream }) => !stream.startsWith(junkPrefix));
      for (const follower of this.#followers) {
        const over = new AbortController();
        const following = follower.follow(store, over.signal);
        while (follower.seen.length < work.length) await pause(1);
        over.abort();
        await following;
      }
      await this.#check(store);
      for (const { seen } of this.#followers) assert.equal(seen.length, work.length);
    });
  }
}

/** A harness that leaves no process behind. */
export async function withHarness(
  directory: string,
  options: CrashOptions,
  use: (harness: CrashHarness) => Promise<void>,
): Promise<void> {
  const harness = new CrashHarness(directory, options);
  try {
    await use(harness);
  } finally {
    await harness.close();
  }
}
