/**
 * `npm run bench` runs every benchmark beside this file, `npm run bench -- search replay` those that are named. What begins with
 * `--` is for the benchmarks themselves: `--full` asks for the large sizes.
 */
import { readdirSync } from 'node:fs';

const known = readdirSync(import.meta.dirname)
  .filter(file => file.endsWith('.ts') && file !== 'run.ts')
  .map(file => file.slice(0, -'.ts'.length));
const named = process.argv.slice(2).filter(argument => !argument.startsWith('--'));
const unknown = named.filter(name => !known.includes(name));
if (unknown.length > 0) {
  console.error(`There is no benchmark ${unknown.join(', ')}. Known: ${known.join(', ')}`);
  process.exit(2);
}
for (const name of named.length === 0 ? known : named) {
  console.log(`\n${name}`);
  const { bench } = (await import(`./${name}.ts`)) as { bench: () => Promise<void> };
  await bench();
}
// A benchmark that failed has thrown; one that leaves something open must not keep the others' figures waiting.
process.exit(0);
