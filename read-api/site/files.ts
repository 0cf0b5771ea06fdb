/**
 * The page's files, as they are: there is no build. They are kept in memory under a version, the digest of all of them, which the
 * document puts into their addresses: so a browser need not ask for one again until any of them changes (RFC 8246).
 */
import { createHash } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { gzipSync } from 'node:zlib';

const webDir = path.resolve(import.meta.dirname, '../../web');
/** How long it is believed that nobody has changed a file, as only a developer does. */
const lookAgainMs = 1_000;

const mediaTypes: Readonly<Record<string, string>> = {
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.webmanifest': 'application/manifest+json',
};

/** Out of node_modules come these and nothing else, as the import map of index.html names them. */
const vendored: Readonly<Record<string, string>> = {
  'vendor/preact.js': 'preact/dist/preact.mjs',
  'vendor/preact-hooks.js': 'preact/hooks/dist/hooks.mjs',
  'vendor/htm.js': 'htm/dist/htm.mjs',
};

export type SiteFile = {
  readonly type: string;
  /** Weak: the same file is one file, packed or not (RFC 9110 8.8.1). */
  readonly etag: string;
  readonly bytes: Buffer;
  /** Made when it is first asked for. */
  packed(): Buffer;
};

export type Site = {
  readonly version: string;
  /** The document. */
  readonly page: string;
  /** By its name below the folder `web`. */
  readonly files: ReadonlyMap<string, SiteFile>;
};

/** Answers the site as its files are, at most a second ago. Costs one look at each file a second, and nothing between. */
export function siteFiles(): () => Promise<Site> {
  let kept: { readonly signature: string; readonly site: Site } | undefined;
  let lookedAt = Number.NEGATIVE_INFINITY;
  let looking: Promise<Site> | undefined;
  const look = async () => {
    const sources = await findSources();
    if (kept?.signature !== sources.signature) {
      kept = { signature: sources.signature, site: await read(sources.paths) };
    }
    lookedAt = performance.now();
    return kept.site;
  };
  return async () => {
    if (kept !== undefined && performance.now() - lookedAt < lookAgainMs) return kept.site;
    looking ??= look().finally(() => {
      looking = undefined;
    });
    return looking;
  };
}

type Paths = ReadonlyMap<string, string>;

async function findSources(): Promise<{ readonly paths: Paths; readonly signature: string }> {
  const entries = await readdir(webDir, { recursive: true, withFileTypes: true });
  const own = entries
    .filter(
      entry => entry.isFile() && (path.extname(entry.name) in mediaTypes || entry.name === 'index.html'),
    )
    .map(entry => path.join(entry.parentPath, entry.name))
    .map(file => [path.relative(webDir, file).split(path.sep).join('/'), file] as const);
  const paths = new Map([
    ...own,
    ...Object.entries(vendored).map(([name, file]) => [name, vendorPath(file)] as const),
  ]);
  const looks = await Promise.all(
    [...paths].map(async ([name, file]) => {
      const { size, mtimeMs } = await stat(file);
      return `${name} ${size} ${mtimeMs}`;
    }),
  );
  return { paths, signature: looks.sort().join('\n') };
}

const require = createRequire(import.meta.url);

/** Not every package lets its package.json be resolved; its entry lies somewhere below its folder. */
function vendorPath(file: string): string {
  const [pack = '', ...rest] = file.split('/');
  const entry = require.resolve(pack);
  const folder = path.join('node_modules', pack);
  return path.join(entry.slice(0, entry.lastIndexOf(folder) + folder.length), ...rest);
}

async function read(paths: Paths): Promise<Site> {
  const all = await Promise.all(
    [...paths].map(async ([name, file]) => [name, await readFile(file)] as const),
  );
  const contents = new Map(all.sort(([left], [right]) => (left < right ? -1 : 1)));
  const digest = createHash('sha256');
  for (const [name, bytes] of contents) digest.update(`${name}\0${bytes.length}\0`).update(bytes);
  const version = digest.digest('base64url').slice(0, 16);
  const textOf = (name: string) => contents.get(name)?.toString() ?? '';
  const page = textOf('index.html')
    // As a file of its own it would be missing exactly when it is needed: see there.
    .replace(
      '<script src="/web/lib/early.js"></script>',
      () => `<script>\n${textOf('lib/early.js')}</script>`,
    )
    .replaceAll('"/web/', `"/web/~${version}/`);
  const served = [...contents].filter(([name]) => name !== 'index.html');
  return { version, page, files: new Map(served.map(([name, bytes]) => [name, fileOf(name, bytes)])) };
}

function fileOf(name: string, bytes: Buffer): SiteFile {
  let packed: Buffer | undefined;
  return {
    type: mediaTypes[path.extname(name)] ?? 'application/octet-stream',
    etag: `W/"${createHash('sha256').update(bytes).digest('base64url').slice(0, 27)}"`,
    bytes,
    packed: () => {
      packed ??= gzipSync(bytes);
      return packed;
    },
  };
}
