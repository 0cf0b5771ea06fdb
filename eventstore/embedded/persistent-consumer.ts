/** Those who share the work of a persistent subscription, and who of them gets which message. */
import type { Message } from './persistent-messages.ts';
import type { StrategyName } from './persistent-settings.ts';
import type { CallFailed } from './server-status.ts';
import { decodeRecordedEvent } from './wire-record.ts';

export type InFlight = { readonly message: Message; readonly sentMs: number };

export type Consumer = {
  readonly number: number;
  readonly user: string;
  readonly from: string;
  readonly connectionName: string;
  /** So many messages may be with it unacknowledged. */
  readonly slots: number;
  /** By the id that it will be acknowledged with, the oldest first. */
  readonly inFlight: Map<string, InFlight>;
  /** How many of these have which key; of pinned messages only. */
  readonly keys: Map<string, number>;
  readonly sinceMs: number;
  /** How many messages it has answered, and how long the newest of them took. */
  readonly answered: { count: number; readonly recentMs: number[] };
  /** `answered.count` when it was last asked for. */
  atMeasurement: number;
  send(message: Message): void;
  /** Ends its call. */
  drop(failure: CallFailed): void;
};

export type Strategy = {
  /** Undefined: nobody now. */
  choose(message: Message, consumers: readonly Consumer[]): Consumer | undefined;
  /** A message that nobody can take now does not keep those behind it waiting. */
  readonly overtakes: boolean;
};

/** The message is with the consumer from now on. */
export function give(consumer: Consumer, message: Message): void {
  const { inFlight, keys } = consumer;
  inFlight.set(message.id, { message, sentMs: Date.now() });
  if (message.key !== undefined) keys.set(message.key, (keys.get(message.key) ?? 0) + 1);
  consumer.send(message);
}

/** The message is with it no more. Undefined: it never was, or is not any longer. */
export function takeBack({ inFlight, keys }: Consumer, id: string): InFlight | undefined {
  const found = inFlight.get(id);
  if (found === undefined) return undefined;
  inFlight.delete(id);
  const { key } = found.message;
  const left = key === undefined ? 0 : (keys.get(key) ?? 1) - 1;
  if (key !== undefined && left > 0) keys.set(key, left);
  else if (key !== undefined) keys.delete(key);
  return found;
}

const recentMax = 256;

/** The consumer has said what became of it. */
export function noteAnswer({ answered }: Consumer, { sentMs }: InFlight): void {
  answered.recentMs[answered.count % recentMax] = Date.now() - sentMs;
  answered.count += 1;
}

/** An id twice at one consumer could not be told apart in its acknowledgement. */
function takes(consumer: Consumer, { id }: Message): boolean {
  return consumer.inFlight.size < consumer.slots && !consumer.inFlight.has(id);
}

export function openStrategy(name: StrategyName): Strategy {
  if (name === 'Pinned') return pinned(streamKey);
  if (name === 'PinnedByCorrelation') return pinned(message => correlationKey(message) ?? streamKey(message));
  if (name === 'RoundRobin') return roundRobin();
  return {
    overtakes: false,
    // The next one only gets work when those before it are full.
    choose: (message, consumers) => consumers.find(consumer => takes(consumer, message)),
  };
}

function roundRobin(): Strategy {
  let last = -1;
  return {
    overtakes: false,
    choose(message, consumers) {
      const after = consumers.findIndex(({ number }) => number > last);
      const first = Math.max(after, 0);
      for (let i = 0; i < consumers.length; i++) {
        const consumer = consumers[(first + i) % consumers.length] as Consumer;
        if (!takes(consumer, message)) continue;
        last = consumer.number;
        return consumer;
      }
      return undefined;
    },
  };
}

/**
 * Each key belongs to the consumer with the highest hash of both: when one leaves, only its keys move. A key of which
 * messages are in flight stays where they are, so that nobody else works on the same key at the same time.
 */
function pinned(keyOf: (message: Message) => string): Strategy {
  return {
    overtakes: true,
    choose(message, consumers) {
      message.key ??= keyOf(message);
      const { key } = message;
      const holder = consumers.find(({ keys }) => keys.has(key));
      if (holder !== undefined) return takes(holder, message) ? holder : undefined;
      let chosen: Consumer | undefined;
      let highest = -1;
      for (const consumer of consumers) {
        const weight = hashOf(`${consumer.number}/${key}`);
        if (weight <= highest) continue;
        highest = weight;
        chosen = consumer;
      }
      return chosen !== undefined && takes(chosen, message) ? chosen : undefined;
    },
  };
}

/** FNV-1a, its bits mixed once more: neighbouring numbers of consumers must not give neighbouring weights. */
function hashOf(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193);
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  return (value ^ (value >>> 13)) >>> 0;
}

const streamKey = ({ event, record }: Message) => (event ?? record).stream;

function correlationKey({ event, record }: Message): string | undefined {
  const { metadata } = decodeRecordedEvent((event ?? record).wire);
  try {
    const id = JSON.parse(Buffer.from(metadata).toString('utf8')).$correlationId;
    return typeof id === 'string' ? id : undefined;
  } catch {
    return undefined;
  }
}
