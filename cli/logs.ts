/** Following a text log over HTTP: whole lines to standard output, on again from where a connection broke. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Client, Query } from './client.ts';
import { Answered, Unreachable } from './exit.ts';
import { plainLine } from './format.ts';
import type { Output } from './output.ts';

const failuresMax = 5;
const retryWaitMs = 1_000;
const lineCharsMax = 1 << 16;

export type LogAsk = {
  readonly path: string;
  readonly query: Query;
  /** Where to go on, in bytes; undefined for a log that cannot be entered in the middle. */
  readonly offset: number | undefined;
};

/**
 * Prints until the log ends. A terminal sees text only; a pipe gets the bytes as they are. With --json a
 * line a record.
 */
export async function printLog(client: Client, out: Output, ask: LogAsk, signal: AbortSignal): Promise<void> {
  const lines = linePrinter(out);
  let offset = ask.offset;
  for (let failures = 0; ; ) {
    const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
    try {
      const answer = await client.text(ask.path, { ...ask.query, offset });
      for await (const chunk of answer.body ?? []) {
        const bytes: Uint8Array = chunk;
        await lines.take(decoder.decode(bytes, { stream: true }));
        if (offset !== undefined) offset += bytes.byteLength;
        failures = 0;
      }
      await lines.take(decoder.decode());
      return await lines.end();
    } catch (error) {
      if (signal.aborted || error instanceof Answered || offset === undefined) throw error;
      if (++failures > failuresMax) throw new Unreachable('The log broke off and could not be opened again');
      await pause(retryWaitMs, undefined, { signal });
    }
  }
}

type LinePrinter = { take(text: string): Promise<void>; end(): Promise<void> };

/** A line that never ends is let out in pieces, so it cannot fill the memory. */
function linePrinter(out: Output): LinePrinter {
  let rest = '';
  const print = (line: string) => {
    if (out.json) return out.write(`${JSON.stringify({ line: line.replace(/\r$/, '') })}\n`);
    return out.write(`${plainLine(line)}\n`);
  };
  return {
    take: async text => {
      if (!out.json && !out.terminal) return out.write(text);
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) await print(line);
      if (rest.length > lineCharsMax) {
        await print(rest);
        rest = '';
      }
    },
    end: async () => {
      if (rest !== '') await print(rest);
    },
  };
}
