/** Load, fold, decide, append: the only place where history is made. */
import { randomUUID } from 'node:crypto';
import type { Metadata, Recorded } from '../domain/events.ts';
import { type Decider, fold, type Message } from '../domain/kernel/decider.ts';
import { Refusal } from '../domain/kernel/refusal.ts';
import { type EventStore, LogUnavailable, WrongRevision } from '../eventstore/store.ts';

const decisionsMax = 5;
const appendsMax = 3;

export type Executed<State> = {
  /** Of the last event of the stream, also when nothing new happened. Null: the stream has none. */
  readonly position: bigint | null;
  /** Whether events were appended by this call. */
  readonly changed: boolean;
  /** After the decision. */
  readonly state: State;
};

/**
 * `once`: a command whose cause is already recorded in the stream is a repeat, and its first outcome is the answer. `by-key`:
 * the cause is a key that its sender chose, so what it is used for is noted in the log first, and no other use is let through.
 */
export type ExecuteOptions = { readonly once?: boolean | 'by-key' };

/**
 * Decides the command on the stream `${category}-${id}` and appends what comes out at exactly the revision it was decided on.
 * A lost race is decided afresh, at most `decisionsMax` times; an append whose answer was lost is repeated with the same
 * event ids, which the log recognises. Rejects with Refusal, WrongRevision or LogUnavailable; then nothing was stored
 * (LogUnavailable: or it was, and the same command will find it).
 */
export async function execute<State, Command extends Message, Event extends Message>(
  store: EventStore,
  decider: Decider<State, Command, Event>,
  id: string,
  command: Command,
  metadata: Metadata,
  options: ExecuteOptions = {},
): Promise<Executed<State>> {
  const stream = `${decider.category}-${id}`;
  const once = options.once ?? false;
  if (once === 'by-key') await claimKey(store, metadata);
  for (let decision = 1; ; decision += 1) {
    const { events, revision } = await store.load(stream);
    const state = fold(decider, events as readonly unknown[] as Event[]);
    const repeated = once === false ? undefined : causedBy(events, metadata);
    if (repeated !== undefined) return { position: repeated.position, changed: false, state };
    const decided = decider.decide(command, state);
    if (decided.length === 0) return { position: events.at(-1)?.position ?? null, changed: false, state };
    const recorded = decided.map(event => ({ ...event, id: randomUUID(), metadata }));
    try {
      const { position } = await appendSurely(store, stream, recorded, revision);
      return {
        position,
        changed: true,
        state: decided.reduce((before, event) => decider.evolve(before, event), state),
      };
    } catch (error) {
      if (!(error instanceof WrongRevision) || decision === decisionsMax) throw error;
    }
  }
}

/**
 * Where the outcome of a request is that was sent before with the same key; undefined for a new one. To be asked before anything
 * else is looked at: an app that was archived meanwhile does not change the answer to what was done before.
 */
export async function outcomeBefore(
  store: EventStore,
  { category }: { readonly category: string },
  id: string,
  { metadata, once }: { readonly metadata: Metadata; readonly once: false | 'by-key' },
): Promise<bigint | undefined> {
  if (once === false) return undefined;
  const { events } = await store.load(`${category}-${id}`);
  const found = causedBy(events, metadata);
  if (found === undefined) return undefined;
  if (found.metadata.correlationId !== metadata.correlationId) throw new Refusal('idempotency/mismatch');
  return found.position;
}

/** The last event this very cause led to. */
function causedBy(events: readonly Recorded[], metadata: Metadata): Recorded | undefined {
  return events.findLast(event => event.metadata.causationId === metadata.causationId);
}

/**
 * Notes in a stream of the key's own what request it stands for: the causation is the key, the correlation the request. Refuses
 * when it stands for another one. The note's id is the request, so a repeat is taken by the log as the same append.
 */
async function claimKey(store: EventStore, metadata: Metadata): Promise<void> {
  const { causationId: key, correlationId: request } = metadata;
  const stream = `idempotency-${key}`;
  try {
    await appendSurely(
      store,
      stream,
      [{ id: request, type: 'KeyUsed', data: { request }, metadata }],
      'none',
    );
  } catch (error) {
    if (!(error instanceof WrongRevision)) throw error;
    const { events } = await store.load(stream);
    if (events[0]?.metadata.correlationId !== request) throw new Refusal('idempotency/mismatch');
  }
}

async function appendSurely(
  store: EventStore,
  stream: string,
  events: Parameters<EventStore['append']>[1],
  expected: bigint | 'none',
): Promise<{ position: bigint }> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await store.append(stream, events, expected);
    } catch (error) {
      if (!(error instanceof LogUnavailable) || attempt === appendsMax) throw error;
    }
  }
}

/** The present state of one aggregate, for a decision about another one. Null where it has no events. */
export async function stateOf<State, Event extends Message>(
  store: EventStore,
  decider: { category: string; initialState: State; evolve(state: State, event: Event): State },
  id: string,
): Promise<{ state: State; events: readonly Recorded[] } | null> {
  const { events } = await store.load(`${decider.category}-${id}`);
  return events.length === 0
    ? null
    : { state: fold(decider, events as readonly unknown[] as Event[]), events };
}
