/** Writes the pages that are printed from the code: `npm run docs`. */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { printDocs } from './docs.ts';

for (const [file, text] of Object.entries(await printDocs())) {
  await writeFile(path.join(import.meta.dirname, '..', '..', file), text);
  console.log(file);
}
