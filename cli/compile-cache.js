/**
 * Makes later starts cheaper: what Node has read, stripped of its types and compiled is kept beside the installed packages, and
 * belongs to whoever the code belongs to. Where that folder cannot be written, nothing is kept. `NODE_COMPILE_CACHE` names
 * another folder. It counts for what is imported after it has run; it is JavaScript, since the first file of TypeScript that
 * is not kept brings in all that strips types.
 */
import { enableCompileCache } from 'node:module';
import path from 'node:path';

enableCompileCache(path.resolve(import.meta.dirname, '../node_modules/.cache/compile'));
