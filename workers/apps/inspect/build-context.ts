/**
 * Which folder of a checkout a Dockerfile is built from. `docker build` is told it by hand; here the Dockerfile itself has to
 * tell: a Dockerfile in a folder of its own is written either for the root of the repository or for its own folder, and what
 * it copies is there in only one of them. The same commit always gives the same answer.
 */
import { realpath } from 'node:fs/promises';
import path from 'node:path';
import { fitsName, type IgnoreRules, readDockerignore } from '../../adapters/docker-ignore.ts';
import { type Checkout, inFolder, openCheckout } from './checkout.ts';
import { parseDockerfile } from './dockerfile.ts';
import { dockerfileBytesMax } from './find-dockerfile.ts';

const dockerignoreBytesMax = 64 * 1024;
const sourcesMax = 200;
const namesMax = 200;
/** Folders that one pattern may lead through. */
const foldersMax = 100;

/** What a tool reads from the folder it is run in, though its command does not name it. */
const manifests: readonly [RegExp, readonly string[]][] = [
  [/^(?:npm|npx|yarn|pnpm|bun)$/, ['package.json']],
  [/^(?:poetry|uv)$/, ['pyproject.toml']],
  [/^go$/, ['go.mod']],
  [/^cargo$/, ['Cargo.toml']],
  [/^mvn$/, ['pom.xml']],
  [/^gradle$/, ['build.gradle', 'build.gradle.kts']],
  [/^bundle$/, ['Gemfile']],
  [/^composer$/, ['composer.json']],
  [/^mix$/, ['mix.exs']],
];

type Place = { readonly checkout: Checkout; readonly rules: IgnoreRules };

/**
 * The context as a path from the root of the checkout, "" for the root itself: the root where everything that is copied lies
 * there, else the Dockerfile's own folder where it lies there, else the root. Where both have it and the whole context is
 * copied, the files that the commands name decide. Never leads through a link and never throws for what is in the files.
 */
export async function findContextFolder(directory: string, dockerfilePath: string): Promise<string> {
  const folder = path.posix.dirname(path.posix.normalize(dockerfilePath));
  if (folder === '.' || folder.startsWith('..') || path.posix.isAbsolute(folder)) return '';
  const root = await realpath(directory);
  // A folder that is reached through a link may lie anywhere.
  const real = await realpath(path.join(root, folder)).catch(() => undefined);
  if (real !== path.join(root, folder)) return '';
  const below = await openPlace(root);
  const beside = await openPlace(real);
  const text = await below.checkout.readText(dockerfilePath, dockerfileBytesMax);
  const dockerfile = text === null ? null : parseDockerfile(text);
  if (dockerfile === null) return '';

  const sources = dockerfile.sources.map(normalized);
  const named = [...new Set(sources)].filter(source => source !== '').slice(0, sourcesMax);
  const isAtRoot = await hasAll(below, named);
  const isBeside = await hasAll(beside, named);
  if (isAtRoot !== isBeside) return isBeside ? folder : '';
  const copiesAll = sources.includes('');
  if (!isAtRoot || !copiesAll) return '';
  return (await areNamesBeside(below, beside, dockerfile.words)) ? folder : '';
}

async function openPlace(folder: string): Promise<Place> {
  const checkout = await openCheckout(folder);
  const text = (await checkout.readText('.dockerignore', dockerignoreBytesMax)) ?? '';
  return { checkout, rules: readRules(text) };
}

function readRules(text: string): IgnoreRules {
  try {
    return readDockerignore(text);
  } catch {
    // The build will say what is wrong with it.
    return readDockerignore('');
  }
}

/** As the builder reads a source: from the context whether it begins with a slash or not, and "" for all of it. */
function normalized(source: string): string {
  const clean = path.posix.normalize(source).replace(/^\/|\/$/g, '');
  return clean === '.' ? '' : clean;
}

async function hasAll(place: Place, sources: readonly string[]): Promise<boolean> {
  for (const source of sources) if (!(await has(place, source))) return false;
  return true;
}

/** Whether a path or pattern leads, name by name, to anything that is sent with the context. What leads out of it does not. */
async function has({ checkout, rules }: Place, source: string): Promise<boolean> {
  const isSent = (file: string) => rules.hasExceptions || !rules.ignores(file);
  let found = [''];
  for (const name of source.split('/')) {
    const next: string[] = [];
    for (const folder of found.slice(0, foldersMax)) next.push(...(await step(checkout, folder, name)));
    found = next.filter(isSent);
    if (found.length === 0) return false;
  }
  return true;
}

/** What one name of a pattern leads to, from a folder. */
async function step(checkout: Checkout, folder: string, name: string): Promise<string[]> {
  if (!/[*?[\\]/.test(name)) {
    const file = inFolder(folder, name);
    return (await checkout.has(file)) ? [file] : [];
  }
  const entries = await checkout.list(folder);
  return entries.filter(entry => fitsName(name, entry.name)).map(entry => inFolder(folder, entry.name));
}

/** Whether files that the commands name are only beside the Dockerfile, and none is only at the root. */
async function areNamesBeside(root: Place, beside: Place, words: readonly string[]): Promise<boolean> {
  const implied = manifests.flatMap(([tool, files]) => (words.some(word => tool.test(word)) ? files : []));
  const literal = words.filter(word => /^[\w@.+-][\w@.+/-]*\.[\w]+$/.test(word));
  const names = [...new Set([...literal, ...implied].map(normalized))].slice(0, namesMax);
  let onlyBeside = 0;
  for (const name of names) {
    const isAtRoot = await has(root, name);
    const isBeside = await has(beside, name);
    if (isAtRoot && !isBeside) return false;
    if (isBeside && !isAtRoot) onlyBeside += 1;
  }
  return onlyBeside > 0;
}
