/** The log's server as a child, so that it has a core and a memory of its own. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';

export type ServerProcess = {
  readonly port: number;
  readonly openMs: number;
  readonly openRssBytes: number;
  rssBytes(): Promise<number>;
  stop(): Promise<void>;
};

/** Left to itself, Node lets the young part of its heap grow to a hundred megabytes before it collects anything. */
const youngSpace = '--max-semi-space-size=4';

export async function startServerProcess(directory: string): Promise<ServerProcess> {
  const child = fork(path.join(import.meta.dirname, 'serve.ts'), [directory], { execArgv: [youngSpace] });
  const [started] = await once(child, 'message');
  const { port, openMs, openRssBytes } = started as { port: number; openMs: number; openRssBytes: number };
  return {
    port,
    openMs,
    openRssBytes,
    async rssBytes() {
      child.send({});
      const [answer] = await once(child, 'message');
      return (answer as { rssBytes: number }).rssBytes;
    },
    async stop() {
      if (!child.connected) return;
      const ended = once(child, 'exit');
      child.disconnect();
      await ended;
    },
  };
}
