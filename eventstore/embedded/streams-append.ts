/** Streams.Append, Delete and Tombstone: from the wire to the log's rules and back. */

import { empty } from './codec.ts';
import { appendRequest, appendResponse, deleteRequest, deleteResponse } from './codec-streams.ts';
import type { AppendOutcome, EventLog } from './log.ts';
import { type Expected, InvalidRequest, WrongExpectedRevision } from './log-errors.ts';
import { isMetadataStream } from './log-metadata.ts';
import type { Access } from './server-access.ts';
import { type Method, unary } from './server-call.ts';
import type { NewRecord } from './storage.ts';
import { expectedOf, newRecord, streamName } from './streams-proposed.ts';

/** How an append went, as both kinds of append answer it. */
export function successOf({ revision, position }: AppendOutcome) {
  return {
    ...(revision === undefined ? { noStream: {} } : { revision }),
    ...(position === undefined ? { noPosition: {} } : { position: { commit: position, prepare: position } }),
  };
}

export const writeOperation = (stream: string) => (isMetadataStream(stream) ? 'writeMetadata' : 'write');

/** One message with options, then one for each event. A wrong expected revision is an answer here, not a status. */
export function appendMethod(log: EventLog, access: Access, messageBytesMax: number): Method {
  return async call => {
    let target: { stream: string; expected: Expected } | undefined;
    const events: NewRecord[] = [];
    let size = 0;
    for await (const messages of call.messages()) {
      for (const bytes of messages) {
        const { options, proposed } = appendRequest.decode(bytes);
        if (options !== undefined) {
          target = { stream: streamName(options.stream), expected: expectedOf(options) };
          await access.check(call.caller, writeOperation(target.stream), target.stream);
        }
        if (proposed === undefined) continue;
        size += bytes.length;
        // Far too much is not kept until its end comes; the log says exactly what is too much.
        if (size <= messageBytesMax) events.push(newRecord(proposed));
      }
    }
    if (target === undefined)
      throw new InvalidRequest('The first message of an append has to be its options.');
    try {
      const outcome = await log.append(target.stream, target.expected, events);
      call.send(appendResponse.frame({ success: successOf(outcome) }));
    } catch (error) {
      if (!(error instanceof WrongExpectedRevision)) throw error;
      call.send(appendResponse.frame({ wrongExpectedVersion: wrongRevision(error) }));
    }
  };
}

function wrongRevision({ actual, expected }: WrongExpectedRevision) {
  return {
    ...(actual === undefined ? { noStreamOld: {}, noStream: {} } : { revisionOld: actual, revision: actual }),
    ...(typeof expected === 'number' ? { expectedOld: expected, expected } : {}),
    ...(expected === 'any' ? { anyOld: {}, expectedAny: {} } : {}),
    ...(expected === 'streamExists' ? { existsOld: {}, expectedExists: {} } : {}),
    ...(expected === 'noStream' ? { expectedNoStream: {} } : {}),
  };
}

/** `remove` is the log's `softDelete` or `tombstone`. */
export function deleteMethod(remove: EventLog['tombstone'], access: Access): Method {
  return unary(deleteRequest, deleteResponse, async ({ options }, call) => {
    const stream = streamName(options?.stream);
    await access.check(call.caller, 'delete', stream);
    const { position } = await remove(stream, expectedOf(options ?? noOptions));
    return { position: { commit: position, prepare: position } };
  });
}

const noOptions = { revision: undefined, noStream: undefined, any: empty, streamExists: undefined };
