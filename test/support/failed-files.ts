/** A reporter for `node --test`: the files in which something failed, one a line, each once. */
import path from 'node:path';
import type { TestEvent } from 'node:test/reporters';

// biome-ignore lint/style/noDefaultExport: the runner asks for it
export default async function* failedFiles(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const told = new Set<string>();
  for await (const event of source) {
    if (event.type !== 'test:fail') continue;
    const file = event.data.file ?? event.data.name;
    if (told.has(file)) continue;
    told.add(file);
    yield `${path.relative(process.cwd(), file)}\n`;
  }
}
