/**
 * Follows one thing by the stream until it is done: what was missed before the stream began is asked for
 * once.
 */
import type { LogEvent } from './api.ts';
import type { Client } from './client.ts';
import { exits } from './exit.ts';
import type { Output } from './output.ts';
import { openStream } from './stream.ts';

export type Watched = {
  /** The stream of the thing, whole name. */
  readonly stream: string;
  /** The position of the write that set it off; null or undefined: from now. */
  readonly from?: string | null | undefined;
  /** What to say of an event; undefined says nothing. */
  readonly say: (event: LogEvent) => string | undefined;
  /** The exit code when this event ends it. */
  readonly ends: (event: LogEvent) => number | undefined;
  /** Looks at how things are, once the stream is live: the exit code when it is over already. */
  readonly isOver: () => Promise<number | undefined>;
};

/** How long to wait for the event that ended it when the tables know first. */
const lateEventMsMax = 1_000;

/** Resolves with the exit code and the position of the last event seen. With --json each event is a line. */
export async function watch(
  client: Client,
  out: Output,
  watched: Watched,
  signal: AbortSignal,
): Promise<{ code: number; position: string | undefined }> {
  let position = watched.from ?? undefined;
  let over: number | undefined;
  let asked = false;
  const enough = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const ask = { streams: [watched.stream], from: position };
  try {
    for await (const frame of openStream(client, ask, AbortSignal.any([signal, enough.signal]))) {
      if (frame.kind === 'event' && frame.event.stream === watched.stream) {
        const { event } = frame;
        position = event.position;
        const text = watched.say(event);
        if (out.json) out.record({ kind: 'event', event });
        else if (text !== undefined) out.line(text);
        const code = watched.ends(event);
        if (code !== undefined) return { code, position };
      }
      if (frame.kind === 'caughtUp' && !asked) {
        asked = true;
        over = await watched.isOver();
        if (over !== undefined && ask.from === undefined) return { code: over, position };
        if (over !== undefined) timer = setTimeout(() => enough.abort(), lateEventMsMax);
      }
    }
  } finally {
    clearTimeout(timer);
  }
  signal.throwIfAborted();
  return { code: over ?? exits.failed, position };
}
