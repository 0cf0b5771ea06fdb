/**
 * Puts refused attempts into the log. A few of one actor within a minute are told one by one; what he tries beyond that is
 * counted and told once at the minute's end, and when there are too many actors the rest is counted together: whoever knocks, and
 * however often, the log grows by a bounded number of events a minute, and the counts stay true.
 */
import { attempt, type RefusedAttempt } from '../../domain/access/attempt.ts';
import type { EventStore } from '../../eventstore/store.ts';
import type { Clock } from '../clock.ts';
import { execute } from '../execute.ts';

const flushMs = 250;
const minuteMs = 60_000;
const singlyPerMinuteMax = 20;
const actorsPerMinuteMax = 500;
const unsentMax = 5_000;
const eventsPerBatchMax = 500;
const retryMsMax = 10_000;
const closeMsMax = 3_000;
const many = '(many)';

type Counted = RefusedAttempt & { count: number; since: string; at: string };
/** Its id stays the same however often it is tried, so that the log takes it once; what it counts stays too. */
type Batch = { readonly id: string; readonly refusals: Counted[] };
type Actor = { singly: number; rest: Map<string, Counted> };

export type Attempts = {
  /** Never rejects and never waits: a refusal is answered whether it can be recorded at once or not. */
  note(refused: RefusedAttempt): void;
  /** Records what is left, as far as the log takes it. */
  close(): Promise<void>;
};

export type AttemptsDeps = {
  readonly store: EventStore;
  readonly clock: Clock;
  readonly log: { warn(detail: object, line: string): void };
  /** For tests: how long a minute is. */
  readonly minuteMs?: number;
  /** How many are told apart in a minute; the rest is counted together. */
  readonly actorsPerMinuteMax?: number;
};

export function openAttempts(deps: AttemptsDeps): Attempts {
  const minute = deps.minuteMs ?? minuteMs;
  let actors = new Map<string, Actor>();
  const unsent: Counted[] = [];
  let batch: Batch | undefined;
  let isClosed = false;
  let sending: Promise<void> = Promise.resolve();
  let timer: NodeJS.Timeout | undefined;
  const soon = () => {
    timer ??= setTimeout(() => {
      timer = undefined;
      sending = sending.then(send);
    }, flushMs);
  };
  const tellCounted = () => {
    const ended = actors;
    actors = new Map();
    for (const { rest } of ended.values()) for (const counted of rest.values()) keep(counted);
    if (unsent.length > 0) soon();
  };
  const rounds = setInterval(tellCounted, minute);
  rounds.unref();

  /** When the log has been away for so long that nothing more fits, the like of one actor are counted together, and the rest. */
  function keep(counted: Counted): void {
    if (unsent.length < unsentMax) return void unsent.push(counted);
    const { outcome } = counted;
    const like =
      unsent.findLast(one => one.outcome === outcome && nameOf(one) === nameOf(counted)) ??
      unsent.findLast(one => one.route === many && one.outcome === outcome);
    if (like === undefined) return void unsent.push(ofMany(counted));
    like.count += counted.count;
    like.at = counted.at;
  }

  function nextBatch(): Batch | undefined {
    const refusals = unsent.splice(0, eventsPerBatchMax);
    return refusals.length === 0 ? undefined : { id: deps.clock.newId(), refusals };
  }

  async function send(): Promise<void> {
    let retryMs = flushMs;
    batch ??= nextBatch();
    while (batch !== undefined) {
      const { refusals } = batch;
      try {
        await record(deps, batch);
        batch = nextBatch();
        retryMs = flushMs;
      } catch (error) {
        const left = unsent.length + refusals.length;
        deps.log.warn({ err: error, unsent: left }, 'refused attempts could not be recorded');
        if (isClosed) return;
        await new Promise(resolve => setTimeout(resolve, retryMs));
        retryMs = Math.min(retryMs * 2, retryMsMax);
      }
    }
  }

  return {
    note(refused) {
      const at = deps.clock.now();
      const counted = { ...refused, count: 1, since: at, at };
      const name = nameOf(refused);
      const actor = actors.get(name) ?? { singly: 0, rest: new Map<string, Counted>() };
      if (!actors.has(name) && actors.size >= (deps.actorsPerMinuteMax ?? actorsPerMinuteMax)) {
        return countIn(ofMany(counted), actors, '(others)');
      }
      actors.set(name, actor);
      if (actor.singly >= singlyPerMinuteMax) return countIn(counted, actors, name);
      actor.singly += 1;
      keep(counted);
      soon();
    },
    async close() {
      clearInterval(rounds);
      tellCounted();
      clearTimeout(timer);
      isClosed = true;
      const late = new Promise<void>(resolve => setTimeout(resolve, closeMsMax).unref());
      await Promise.race([sending.then(send), late]);
    },
  };
}

/** Whoever is nobody is told apart by where he comes from. */
const nameOf = ({ actor, ip }: RefusedAttempt): string => (actor === 'anonymous' ? `${actor} ${ip}` : actor);

/** One entry an actor and outcome: it tells of the newest attempt, and of how many there were. */
function countIn(counted: Counted, actors: Map<string, Actor>, name: string): void {
  const actor = actors.get(name) ?? { singly: singlyPerMinuteMax, rest: new Map<string, Counted>() };
  actors.set(name, actor);
  const before = actor.rest.get(counted.outcome);
  const { count, since } = before ?? { count: 0, since: counted.at };
  actor.rest.set(counted.outcome, { ...counted, count: count + 1, since });
}

/** One entry for many actors. */
const ofMany = (counted: Counted): Counted => ({
  ...counted,
  actor: 'anonymous',
  ip: '',
  userAgent: '',
  route: many,
  target: null,
});

async function record({ store, clock }: AttemptsDeps, { id, refusals }: Batch): Promise<void> {
  const at = clock.now();
  const metadata = { actor: 'platform', correlationId: id, causationId: id, time: at };
  const command = { type: 'RecordRefusals', data: { refusals, at } } as const;
  await execute(store, attempt, id, command, metadata, { once: true });
}
