/**
 * The log's server in a process of its own: `node serve.ts <directory>`. Tells its port, and how long the log took to open; any
 * message is answered with the memory in use.
 */
import { openSegmentStorage } from '../../../eventstore/embedded/segment-storage.ts';
import { startLogServer } from '../../../eventstore/embedded/server.ts';

const [, , directory = ''] = process.argv;
const from = performance.now();
const storage = await openSegmentStorage({ directory });
const openMs = performance.now() - from;
const { port } = await startLogServer({ storage, port: 0 });
process.on('disconnect', () => process.exit());
process.on('message', () => process.send?.({ rssBytes: process.memoryUsage.rss() }));
process.send?.({ port, openMs, openRssBytes: process.memoryUsage.rss() });
