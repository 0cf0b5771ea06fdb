/** Reporter of the test runner: prints each file that has a test that failed, one a line, so that it can be run once more. */
type Reported = { readonly type: string; readonly data: { readonly file?: string } };

// biome-ignore lint/style/noDefaultExport: the runner takes nothing else.
export default async function* failedFiles(reported: AsyncIterable<Reported>): AsyncIterable<string> {
  const seen = new Set<string>();
  for await (const { type, data } of reported) {
    if (type !== 'test:fail' || data.file === undefined || seen.has(data.file)) continue;
    seen.add(data.file);
    yield `${data.file}\n`;
  }
}
