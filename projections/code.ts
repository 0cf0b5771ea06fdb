/**
 * Which code makes the rows of a projection: a fingerprint of the file that has it and of all that this file imports, and of what
 * lifts events and applies operations. It says that code has changed, and not whether that matters: that is for a check.
 */
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Projection } from './projection.ts';

const here = import.meta.dirname;
const ofAll = ['apply.ts', 'merge.ts', '../eventstore/upcast.ts'].map(file => path.join(here, file));
const imports = /^(?:import|export)\s+(?!type\b)[^;]*?from\s+'(\.[^']+)'/gm;

/** By the name of the projection. Costs reading some dozens of small files. */
export async function codeOf(projections: readonly Projection[]): Promise<ReadonlyMap<string, string>> {
  const files = await filesOf(projections);
  const texts = new Map<string, string>();
  const codes = new Map<string, string>();
  for (const projection of projections) {
    const file = files.get(projection);
    const code = file === undefined ? codeOfItself(projection) : await codeOfFiles([file, ...ofAll], texts);
    codes.set(projection.name, code);
  }
  return codes;
}

/** Of all of them together. */
export const codeOfAll = (codes: ReadonlyMap<string, string>): string => hashOf([...codes].flat().sort());

async function filesOf(projections: readonly Projection[]): Promise<ReadonlyMap<Projection, string>> {
  const found = new Map<Projection, string>();
  for (const name of await readdir(here, { recursive: true })) {
    if (!/^[^/]+\/[^/]+\.ts$/.test(name)) continue;
    const file = path.join(here, name);
    const exported: unknown[] = Object.values(await import(file));
    for (const projection of projections) if (exported.includes(projection)) found.set(projection, file);
  }
  return found;
}

/** Of one that is in no file of its own. */
function codeOfItself({ version, tables, createTables, on }: Projection): string {
  const handlers = Object.entries(on).map(([type, handler]) => `${type} ${String(handler)}`);
  return hashOf([String(version), JSON.stringify(tables), String(createTables), ...handlers]);
}

async function codeOfFiles(from: readonly string[], texts: Map<string, string>): Promise<string> {
  const seen = new Set<string>();
  const due = [...from];
  for (let file = due.pop(); file !== undefined; file = due.pop()) {
    if (seen.has(file)) continue;
    seen.add(file);
    const text = texts.get(file) ?? (await readFile(file, 'utf8'));
    texts.set(file, text);
    for (const [, target = ''] of text.matchAll(imports)) due.push(path.resolve(path.dirname(file), target));
  }
  return hashOf([...seen].sort().map(file => `${path.relative(here, file)} ${texts.get(file)}`));
}

function hashOf(parts: readonly string[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(`${part.length} ${part}\n`);
  return hash.digest('hex').slice(0, 32);
}
