/** What the log says no to. The server turns each into the status and trailers that clients know. */

/** The revision a writer expects of a stream before its append. */
export type Expected = number | 'noStream' | 'any' | 'streamExists';

export class WrongExpectedRevision extends Error {
  override readonly name = 'WrongExpectedRevision';
  readonly stream: string;
  readonly expected: Expected;
  /** Undefined: the stream is not there. */
  readonly actual: number | undefined;
  constructor(stream: string, expected: Expected, actual: number | undefined) {
    super(`Append failed due to WrongExpectedVersion. Stream: ${stream}, Expected version: ${expected}`);
    this.stream = stream;
    this.expected = expected;
    this.actual = actual;
  }
}

/** The stream carries a tombstone: its name can never be used again. */
export class StreamDeleted extends Error {
  override readonly name = 'StreamDeleted';
  readonly stream: string;
  constructor(stream: string) {
    super(`Event stream '${stream}' is deleted.`);
    this.stream = stream;
  }
}

export class StreamNotFound extends Error {
  override readonly name = 'StreamNotFound';
  readonly stream: string;
  constructor(stream: string) {
    super(`Event stream '${stream}' is not found.`);
    this.stream = stream;
  }
}

export class AppendTooLarge extends Error {
  override readonly name = 'AppendTooLarge';
  readonly bytesMax: number;
  constructor(bytesMax: number) {
    super(`Maximum Append Size of ${bytesMax} Exceeded.`);
    this.bytesMax = bytesMax;
  }
}

/** The caller may not do this to this stream. */
export class AccessDenied extends Error {
  override readonly name = 'AccessDenied';
  constructor() {
    super('Access Denied.');
  }
}

/** The request makes no sense whatever the log holds. */
export class InvalidRequest extends Error {
  override readonly name = 'InvalidRequest';
}
