/**
 * Lines to bytes: masked, within the limits, and kept in order for a place that may be slow. Where a log is larger than it may
 * be, its beginning and its end are kept: what went wrong is most often said last.
 */
const logBytesMaxDefault = 16 * 1024 * 1024;
const lineBytesMaxDefault = 16 * 1024;
const endBytesMaxDefault = 64 * 1024;
/** Whoever writes line after line without a pause lets everybody else have a turn after so long. */
const turnMsMax = 10;
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
  let turnedAt = performance.now();
  if (!tape.found.isWhole) sink.take('\n', 1);

  return {
    async write(line) {
      const { text, bytes } = wholeLine(mask(line), limits.lineBytesMax);
      if (!isCut && sink.size().bytes + bytes > beginBytesMax) {
        isCut = true;
        const said = `… the log is cut here: it may have ${limits.logBytesMax} bytes, and only its end is still kept`;
        sink.take(`${said}\n`);
      }
      if (isCut) ending.take(text, bytes);
      else sink.take(text, bytes);
      await sink.room();
      // Promises alone would never let it: they are all kept before anything else has a turn.
      if (performance.now() - turnedAt > turnMsMax) {
        await new Promise(resolve => setImmediate(resolve));
        turnedAt = performance.now();
      }
    },
    async close() {
      if (isCut) {
        const { skipped, lines } = ending.drain();
        if (skipped.lines > 0)
          sink.take(`… ${skipped.lines} lines of ${skipped.bytes} bytes are left out here\n`);
        for (const { text, bytes } of lines) sink.take(text, bytes);
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
  // One text, and not a buffer for each line: a line may be a single byte.
  let unsent = '';
  let unsentBytes = 0;
  let isRefused = false;
  let isClosing = false;
  let hurry = () => {};
  let flushing: Promise<void> | undefined;

  const flush = async () => {
    while (unsentBytes > 0) {
      if (!isClosing && tape.stepMs > 0 && unsentBytes < stepBytesMax) await step(tape.stepMs);
      const batch = Buffer.from(unsent);
      unsent = '';
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
    take(text: string, textBytes = Buffer.byteLength(text)) {
      unsent += text;
      unsentBytes += textBytes;
      bytes += textBytes;
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
  let lines: Line[] = [];
  let bytes = 0;
  const skipped = { lines: 0, bytes: 0 };
  const cut = () => {
    let from = lines.length;
    for (let kept = 0; from > 0; from -= 1) {
      kept += lines[from - 1]?.bytes ?? 0;
      if (kept > bytesMax) break;
    }
    const gone = lines.slice(0, from).reduce((sum, line) => sum + line.bytes, 0);
    skipped.lines += from;
    skipped.bytes += gone;
    bytes -= gone;
    lines = lines.slice(from);
  };
  return {
    take(text: string, textBytes: number) {
      lines.push({ text, bytes: textBytes });
      bytes += textBytes;
      // Seldom, so that a line costs the same however many there are.
      if (bytes > bytesMax * 2) cut();
    },
    drain() {
      cut();
      return { skipped, lines };
    },
  };
}

type Line = { readonly text: string; readonly bytes: number };

/** With its end, and not longer than it may be. */
function wholeLine(line: string, lineBytesMax: number): Line {
  const text = `${line.includes('\n') ? line.replaceAll('\n', ' ') : line}\n`;
  const bytes = Buffer.byteLength(text);
  if (bytes <= lineBytesMax) return { text, bytes };
  const mark = ' …\n';
  const encoded = Buffer.from(text);
  let end = Math.max(0, lineBytesMax - Buffer.byteLength(mark));
  // Not inside of a character: its bytes but the first begin with the bits 10.
  while (end > 0 && ((encoded[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return { text: encoded.toString('utf8', 0, end) + mark, bytes: end + Buffer.byteLength(mark) };
}
