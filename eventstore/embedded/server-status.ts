/** How a gRPC call ends: status codes, and the trailers by which clients tell errors of the log apart. */
import { MalformedMessage } from './codec.ts';
import {
  AccessDenied,
  AppendTooLarge,
  type Expected,
  InvalidRequest,
  StreamDeleted,
  StreamNotFound,
  WrongExpectedRevision,
} from './log-errors.ts';
import { StorageFailed, StorageFull } from './storage.ts';

/** Source: grpc.github.io/grpc/core/md_doc_statuscodes.html */
export const status = {
  ok: 0,
  cancelled: 1,
  unknown: 2,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  alreadyExists: 6,
  permissionDenied: 7,
  resourceExhausted: 8,
  failedPrecondition: 9,
  aborted: 10,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  dataLoss: 15,
  unauthenticated: 16,
} as const;

export type Trailers = Readonly<Record<string, string>>;

/** Ends a call with this status and these trailers. */
export class CallFailed extends Error {
  override readonly name = 'CallFailed';
  readonly code: number;
  readonly trailers: Trailers;
  constructor(code: number, message: string, trailers: Trailers = {}) {
    super(message);
    this.code = code;
    this.trailers = trailers;
  }
}

const expectedNumbers = { noStream: '-1', any: '-2', streamExists: '-4' } as const;

/** As the trailers have it: the number, or EventStoreDB's negative one for what is no number. */
function expectedText(expected: Expected): string {
  return typeof expected === 'number' ? `${expected}` : expectedNumbers[expected];
}

/** The ending that belongs to an error. What is not known to the protocol is `internal`, and is worth a log line. */
export function callFailure(error: unknown): CallFailed {
  if (error instanceof CallFailed) return error;
  if (error instanceof WrongExpectedRevision) {
    return new CallFailed(status.failedPrecondition, error.message, {
      exception: 'wrong-expected-version',
      'stream-name': error.stream,
      'expected-version': expectedText(error.expected),
      'actual-version': error.actual === undefined ? '-1' : `${error.actual}`,
    });
  }
  if (error instanceof StreamDeleted) {
    const trailers = { exception: 'stream-deleted', 'stream-name': error.stream };
    return new CallFailed(status.failedPrecondition, error.message, trailers);
  }
  if (error instanceof StreamNotFound) {
    const trailers = { exception: 'stream-not-found', 'stream-name': error.stream };
    return new CallFailed(status.notFound, error.message, trailers);
  }
  if (error instanceof AppendTooLarge) {
    const trailers = {
      exception: 'maximum-append-size-exceeded',
      'maximum-append-size': `${error.bytesMax}`,
    };
    return new CallFailed(status.invalidArgument, error.message, trailers);
  }
  if (error instanceof AccessDenied) {
    return new CallFailed(status.permissionDenied, error.message, { exception: 'access-denied' });
  }
  if (error instanceof InvalidRequest || error instanceof MalformedMessage) {
    return new CallFailed(status.invalidArgument, error.message);
  }
  if (error instanceof StorageFull) return new CallFailed(status.resourceExhausted, error.message);
  if (error instanceof StorageFailed && error.position !== undefined) {
    // Damage: nothing gets better by asking again.
    return new CallFailed(status.dataLoss, error.message);
  }
  return new CallFailed(status.internal, error instanceof Error ? error.message : String(error));
}

/** A trailer's value in printable ASCII, everything else as percent and hex. Source: gRPC over HTTP/2, "Status-Message". */
export function headerText(text: string): string {
  return text.replace(/[^\x20-\x24\x26-\x7e]+/g, part =>
    Array.from(Buffer.from(part), byte => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
  );
}
