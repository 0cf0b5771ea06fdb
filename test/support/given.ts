/** Tests of a decider in three words: given these events, when this is asked, it gives those events or this refusal. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { type Decider, fold, type Message } from '../../domain/kernel/decider.ts';
import { Refusal, type RefusalCode } from '../../domain/kernel/refusal.ts';

export type When<Command, Event> = {
  when(command: Command): {
    /** The events, exactly; or the code of the refusal. Neither the history nor the command may have been changed. */
    gives(expected: readonly Event[] | RefusalCode): void;
  };
};

export function given<State, Command extends Message, Event extends Message>(
  decider: Decider<State, Command, Event>,
  events: readonly Event[],
): When<Command, Event> {
  return {
    when: command => ({
      gives(expected) {
        const before = JSON.stringify([events, command]);
        const answer = () => decider.decide(command, fold(decider, events));
        if (typeof expected === 'string') assert.throws(answer, refusal(expected));
        else assert.deepEqual(answer(), expected);
        assert.equal(JSON.stringify([events, command]), before, 'a decision changed what it was given');
      },
    }),
  };
}

function refusal(code: RefusalCode): (error: unknown) => boolean {
  return error => {
    assert.ok(error instanceof Refusal, `expected the refusal ${code}, got ${error}`);
    assert.equal(error.code, code);
    return true;
  };
}

/**
 * What holds for every decider, whatever is asked in whatever order: only Refusals are thrown; folding what was decided
 * never throws, gives the same state again from the log's JSON, and never changes an earlier state. Returns the types of
 * all events that were decided, so that a test can see that the commands reached them.
 */
export function holdsForAnyCommands<State, Command extends Message, Event extends Message>(
  decider: Decider<State, Command, Event>,
  commands: fc.Arbitrary<Command>,
  /** Commands to begin with, one of them each time, so that a history goes far in so few. */
  beginnings: readonly (readonly Command[])[] = [[]],
): ReadonlySet<string> {
  const reached = new Set<string>();
  const all = fc.tuple(fc.constantFrom(...beginnings), fc.array(commands, { maxLength: 24 }));
  const property = fc.property(all, ([begun, more]) => {
    const asked = [...begun, ...more];
    const history: Event[] = [];
    let state = decider.initialState;
    for (const command of asked) {
      const decided = decideOrRefuse(decider, command, state);
      assert.deepEqual(decideOrRefuse(decider, command, state), decided, 'the same question, another answer');
      const before = JSON.stringify(state);
      const kept = state;
      for (const event of decided) {
        assert.deepEqual(JSON.parse(JSON.stringify(event)), event, `${event.type} does not survive JSON`);
        state = decider.evolve(state, event);
        reached.add(event.type);
      }
      assert.equal(JSON.stringify(kept), before, 'evolve changed the state it was given');
      history.push(...decided);
    }
    assert.deepEqual(fold(decider, JSON.parse(JSON.stringify(history)) as Event[]), state);
  });
  fc.assert(property, { numRuns: 400 });
  return reached;
}

function decideOrRefuse<State, Command extends Message, Event extends Message>(
  decider: Decider<State, Command, Event>,
  command: Command,
  state: State,
): readonly Event[] {
  try {
    return decider.decide(command, state);
  } catch (error) {
    assert.ok(error instanceof Refusal, `not a refusal: ${error}`);
    return [];
  }
}
