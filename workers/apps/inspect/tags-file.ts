/**
 * The tags an author keeps in the repository: the first of these files, beside the Dockerfile or in a folder above it.
 * Understood are `key: value`, `key: [value, …]`, `key: {child: value}` (the key is then `key/child`), a list of
 * `{key, value}` or of "key:value", and any of these below a single `tags:`.
 */
import type { SourcedTag } from '../../../domain/apps/tag.ts';
import { tagKeyPattern, tagsPerRequestMax, tagValueCharsMax } from '../../../domain/kernel/limits.ts';
import { type Checkout, foldersUpFrom, inFolder } from './checkout.ts';
import { isRecord, parseStructured, structuredBytesMax } from './structured.ts';
import { asPlainLine } from './text.ts';

const tagFileNames = [
  '.apphub/tags.yaml',
  '.apphub/tags.yml',
  '.apphub/tags.json',
  'apphub.tags.yaml',
  'apphub.tags.yml',
  'apphub.tags.json',
  'tags.yaml',
  'tags.yml',
];
const keyPattern = new RegExp(tagKeyPattern);

/** The tags found, and what was wrong with the file in one sentence each. */
export async function readTagsFile(
  checkout: Checkout,
  dockerfilePath: string,
): Promise<{ tags: SourcedTag[]; warnings: string[] }> {
  for (const folder of foldersUpFrom(dockerfilePath)) {
    for (const name of tagFileNames) {
      const file = inFolder(folder, name);
      if (!(await checkout.hasFile(file))) continue;
      const text = await checkout.readText(file, structuredBytesMax);
      if (text === null) return wrong(file, `it is longer than ${structuredBytesMax / 1024} KiB`);
      const parsed = parseStructured(file, text);
      return parsed.ok ? collectTags(file, parsed.value) : wrong(file, parsed.reason);
    }
  }
  return { tags: [], warnings: [] };
}

function wrong(file: string, reason: string) {
  return { tags: [], warnings: [`The tags in ${file} were not read: ${reason}.`] };
}

function collectTags(file: string, value: unknown): { tags: SourcedTag[]; warnings: string[] } {
  const inner = isRecord(value) && Object.keys(value).length === 1 && value.tags;
  const isWrapped = Array.isArray(inner) || isRecord(inner);
  const tags = new Map<string, SourcedTag>();
  let droppedCount = 0;
  for (const [rawKey, rawValue] of pairsOf(isWrapped ? inner : value)) {
    const key = rawKey.trim().toLowerCase().replace(/\s+/g, '-');
    const text = asPlainLine(rawValue, tagValueCharsMax + 1);
    const isFine = keyPattern.test(key) && text !== null && Array.from(text).length <= tagValueCharsMax;
    if (!isFine || tags.size >= tagsPerRequestMax) droppedCount += 1;
    else tags.set(`${key}:${text}`, { key, value: text, source: 'auto:tags-file' });
  }
  const warning =
    `${droppedCount} of the tags in ${file} were left out: at most ${tagsPerRequestMax} are read, a key is of lower-case ` +
    `letters, digits and "._/-", a value of at most ${tagValueCharsMax} characters.`;
  return { tags: [...tags.values()], warnings: droppedCount > 0 ? [warning] : [] };
}

function* pairsOf(value: unknown): Generator<[string, string]> {
  if (Array.isArray(value)) {
    for (const item of value) {
      if (isRecord(item) && isScalar(item.key) && isScalar(item.value))
        yield [String(item.key), String(item.value)];
      else if (isRecord(item)) yield* pairsOf(item);
      else if (isScalar(item)) yield pairOf(String(item));
    }
  } else if (isRecord(value)) {
    for (const [key, inner] of Object.entries(value)) yield* valuesOf(key, inner);
  }
}

function* valuesOf(key: string, value: unknown): Generator<[string, string]> {
  if (isScalar(value)) yield [key, String(value)];
  else if (Array.isArray(value)) {
    for (const item of value) if (isScalar(item)) yield [key, String(item)];
  } else if (isRecord(value)) {
    for (const [child, item] of Object.entries(value))
      if (isScalar(item)) yield [`${key}/${child}`, String(item)];
  }
}

/** `key:value`; a word alone is the value of the key `tag`. */
function pairOf(text: string): [string, string] {
  const at = text.indexOf(':');
  return at === -1 ? ['tag', text] : [text.slice(0, at), text.slice(at + 1)];
}

function isScalar(value: unknown): value is string | number | boolean {
  return ['string', 'number', 'boolean'].includes(typeof value);
}
