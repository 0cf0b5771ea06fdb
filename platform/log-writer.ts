/**
 * Lines to bytes: masked, within the limits, and kept in order for a place that may be slow. Where a log is larger than it may
 * be, its beginning and its end are kept: what went wrong is most often said last.
 */
const logBytesMaxDefault = 16 * 1024 * 1024;
const lineBytesMaxDefault = 16 * 1024;
const endBytesMaxDefault = 64 * 1024;
const unsentBytesMax = 1024 * 1024;
/** A log that is written in steps is not made to wait for the next one with more than this. */
const stepBytesMax = 256 * 1024;

export type LogSize = { readonly lines: number; readonly bytes: number; readonly truncated: boolean };

export type LogWriter = {
  /** Takes one line, without its line end. Resolves at once unless the store is behind: then wait for it. */
  write(line: string): Promise<void>;
  /** Everything is in the store and the end is known to readers. Never throws: what the store refused is cut off. */
  close(): Promise<LogSize>;
};

export type LogLimits = {
  readonly logBytesMax?: number;
  readonly lineBytesMax?: number;
  /** How much of the end of a log is kept that is larger than it may be. */
  readonly endBytesMax?: number;
};

/** Where a writer puts its bytes: a file, or objects. */
export type Tape = {
  /** What an earlier writer has left. Its last line may be a part of one. */
  readonly found: { readonly lines: number; readonly bytes: number; readonly isWhole: boolean };
  /** How long to gather before something is appended. */
  readonly stepMs: number;
  append(bytes: Buffer): Promise<void>;
  /** Nothing more will come, as far as is known. */
  end(size: LogSize): Promise<void>;
};

const idPattern = /^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$/;

/** Throws unless the id is a plain name: it can never lead out of its folder. */
export function requireLogId(id: string): string {
  if (!idPattern.test(id)) throw new Error(`not the id of a log: ${JSON.stringify(id.slice(0, 200))}`);
  return id;
}

export function requireOffset(offset: number): void {
  if (!Number.isSafeInteger(offset) || offset < 0) throw new RangeError(`not an offset: ${offset}`);
}

/** Lines to bytes on a tape, within the limits, and in as few steps as the tape wants. */
export function openWriter(tape: Tape, given: LogLimits, mask = (line: string) => line): LogWriter {
  const limits = limitsOf(given);
  const sink = openSink(tape);
  const ending = endKeeper(limits.endBytesMax);
  const beginBytesMax = limits.logBytesMax - limits.endBytesMax;
  let isCut = false;
  if (!tape.found.isWhole) sink.take(Buffer.from('\n'));

  return {
    async write(line) {
      const encoded = encodeLine(mask(line), limits.lineBytesMax);
      if (!isCut && sink.size().bytes + encoded.length > beginBytesMax) {
        isCut = true;
        const said = `… the log is cut here: it may have ${limits.logBytesMax} bytes, and only its end is still kept`;
        sink.take(Buffer.from(`${said}\n`));
      }
      if (isCut) ending.take(encoded);
      else sink.take(encoded);
      await sink.room();
    },
    async close() {
      if (isCut) {
        const { skipped, lines } = ending.drain();
        if (skipped.lines > 0)
          sink.take(Buffer.from(`… ${skipped.lines} lines of ${skipped.bytes} bytes are left out here\n`));
        for (const line of lines) sink.take(line);
      }
      const wasRefused = await sink.close();
      const size = { ...sink.size(), truncated: isCut || wasRefused };
      await tape.end(size).catch(() => undefined);
      return size;
    },
  };
}

function limitsOf({
  logBytesMax = logBytesMaxDefault,
  lineBytesMax = lineBytesMaxDefault,
  ...rest
}: LogLimits) {
  // Of a small log not more than a quarter is its end.
  const endBytesMax = Math.min(rest.endBytesMax ?? endBytesMaxDefault, Math.floor(logBytesMax / 4));
  return { logBytesMax, lineBytesMax, endBytesMax };
}

/** What waits for the tape, and goes to it one step after the other. */
function openSink(tape: Tape) {
  let { lines, bytes } = tape.found;
  let unsent: Buffer[] = [];
  let unsentBytes = 0;
  let isRefused = false;
  let isClosing = false;
  let hurry = () => {};
  let flushing: Promise<void> | undefined;

  const flush = async () => {
    while (unsent.length > 0) {
      if (!isClosing && tape.stepMs > 0 && unsentBytes < stepBytesMax) await step(tape.stepMs);
      const batch = Buffer.concat(unsent);
      unsent = [];
      unsentBytes = 0;
      try {
        if (!isRefused) await tape.append(batch);
      } catch {
        // A full disk costs the rest of this log, not the build.
        isRefused = true;
      }
    }
    flushing = undefined;
  };
  const step = async (ms: number) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    hurry = resolve;
    const timer = setTimeout(resolve, ms);
    await promise;
    clearTimeout(timer);
  };
  return {
    size: () => ({ lines, bytes }),
    take(line: Buffer) {
      unsent.push(line);
      unsentBytes += line.length;
      bytes += line.length;
      lines += 1;
      if (unsentBytes >= stepBytesMax) hurry();
      flushing ??= Promise.resolve().then(flush);
    },
    async room() {
      if (unsentBytes > unsentBytesMax) await flushing;
    },
    async close() {
      isClosing = true;
      hurry();
      await flushing;
      return isRefused;
    },
  };
}

/** The last lines of many, in memory for not much more than they need. */
function endKeeper(bytesMax: number) {
  let lines: Buffer[] = [];
  let bytes = 0;
  const skipped = { lines: 0, bytes: 0 };
  const cut = () => {
    let from = lines.length;
    for (let kept = 0; from > 0; from -= 1) {
      kept += lines[from - 1]?.length ?? 0;
      if (kept > bytesMax) break;
    }
    const gone = lines.slice(0, from).reduce((sum, { length }) => sum + length, 0);
    skipped.lines += from;
    skipped.bytes += gone;
    bytes -= gone;
    lines = lines.slice(from);
  };
  return {
    take(line: Buffer) {
      lines.push(line);
      bytes += line.length;
      // Seldom, so that a line costs the same however many there are.
      if (bytes > bytesMax * 2) cut();
    },
    drain() {
      cut();
      return { skipped, lines };
    },
  };
}

function encodeLine(line: string, lineBytesMax: number): Buffer {
  const one = line.includes('\n') ? line.replaceAll('\n', ' ') : line;
  const encoded = Buffer.from(`${one}\n`);
  if (encoded.length <= lineBytesMax) return encoded;
  const mark = ' …\n';
  let end = Math.max(0, lineBytesMax - Buffer.byteLength(mark));
  // Not inside of a character: its bytes but the first begin with the bits 10.
  while (end > 0 && ((encoded[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return Buffer.concat([encoded.subarray(0, end), Buffer.from(mark)]);
}
