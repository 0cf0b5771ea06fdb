/** What is measured of each store, in the same way and with the same events. */

/** An event of 1 KB of JSON. */
export const eventData = { text: 'x'.repeat(1_024 - '{"text":""}'.length) };
export const batchEvents = 100;

export type System = {
  readonly name: string;
  /** Stores one event in the stream of this writer, durably. */
  single(writer: number): Promise<unknown>;
  /** Stores `batchEvents` events in one append. */
  batch(writer: number): Promise<unknown>;
  /** Reads everything stored through a subscription from the start; how many events came. */
  catchUp(): Promise<number>;
  /** Reads one long stream; how many events it has. */
  readStream(): Promise<number>;
  /** Milliseconds from the call of an append to the event's coming to a subscriber that waits for it. */
  liveMs?(): Promise<number[]>;
  close(): Promise<unknown>;
};

/** So many loops of this work for so long; how many works ended a second. */
export async function rate(
  atOnce: number,
  ms: number,
  work: (writer: number) => Promise<unknown>,
): Promise<number> {
  const from = performance.now();
  let done = 0;
  const loop = async (writer: number) => {
    while (performance.now() - from < ms) {
      await work(writer);
      done += 1;
    }
  };
  await Promise.all(Array.from({ length: atOnce }, (_, writer) => loop(writer)));
  return (done * 1_000) / (performance.now() - from);
}

export async function eventsPerSecond(read: () => Promise<number>): Promise<number> {
  const from = performance.now();
  const events = await read();
  return (events * 1_000) / (performance.now() - from);
}
