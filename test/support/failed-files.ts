/** A reporter for `node --test`: the files in which something failed, one a line, each once. */
import path from 'node:path';
import type { TestEvent } from 'node:test/reporters';

/** What the runner says more than its types do: the file it has started, wherever the test itself stands. */
type Place = { readonly name: string; readonly file?: string; readonly entryFile?: string };

// biome-ignore lint/style/noDefaultExport: the runner asks for it
export default async function* failedFiles(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const told = new Set<string>();
  for await (const event of source) {
    if (event.type !== 'test:fail') continue;
    const { name, file, entryFile }: Place = event.data;
    const failed = path.relative(process.cwd(), entryFile ?? file ?? name);
    if (told.has(failed)) continue;
    told.add(failed);
    yield `${failed}\n`;
  }
}
