/**
 * Pictures that show the app: what the author lists in a previews manifest, then what the README shows. Files of the
 * repository are read to be stored (known by their first bytes, not by their names); https addresses stay addresses.
 */
import { createHash } from 'node:crypto';
import path from 'node:path';
import type { Preview } from '../../../domain/apps/ingestion.ts';
import { previewsMax } from '../../../domain/kernel/limits.ts';
import { type Checkout, foldersUpFrom, inFolder } from './checkout.ts';
import type { Readme } from './readme.ts';
import { isRecord, parseStructured, structuredBytesMax } from './structured.ts';
import { asPlainLine, asWebUrl } from './text.ts';

export const pictureBytesMax = 5 * 1024 * 1024;
const itemsReadMax = 24;
const titleCharsMax = 120;

/** Bytes to be stored under their checksum. */
export type Picture = { sha256: string; mediaType: string; content: Buffer };
export type FoundPictures = { previews: Preview[]; pictures: Picture[]; warnings: string[] };

type Wish = { kind: Preview['kind'] | null; address: string; title: string | null };

const manifestNames = ['.apphub/previews', 'apphub.previews', 'previews'].flatMap(name =>
  ['.json', '.yaml', '.yml'].map(ending => name + ending),
);
const kinds: Record<string, Preview['kind']> = {
  image: 'image',
  gif: 'gif',
  video: 'video',
  embed: 'embed',
  link: 'embed',
  storybook: 'embed',
};

/** At most `previewsMax` previews, each different, those of the manifest first. */
export async function findPictures(
  checkout: Checkout,
  dockerfilePath: string,
  readme: Readme | null,
): Promise<FoundPictures> {
  const manifest = await readManifest(checkout, dockerfilePath);
  const fromReadme = (readme?.pictures ?? []).map((picture): Wish => ({ kind: null, ...picture }));
  const sources = [
    ...manifest.wishes.map(wish => ({ wish, folder: manifest.folder, isListed: true })),
    ...fromReadme.map(wish => ({ wish, folder: readme?.folder ?? '', isListed: false })),
  ];
  const found: FoundPictures = { previews: [], pictures: [], warnings: manifest.warnings };
  for (const { wish, folder, isListed } of sources) {
    if (found.previews.length >= previewsMax) break;
    const preview = await resolveWish(checkout, folder, wish);
    if (preview === null) {
      if (isListed)
        found.warnings.push(`The preview "${asPlainLine(wish.address, 100)}" was left out: ${whatIsFine}.`);
      continue;
    }
    const { picture, ...shown } = preview;
    if (found.previews.some(({ url, sha256 }) => url === shown.url && sha256 === shown.sha256)) continue;
    found.previews.push(shown);
    if (picture !== null) found.pictures.push(picture);
  }
  return found;
}

const whatIsFine =
  'name an https address, or a PNG, JPEG, GIF, WebP, AVIF, MP4 or WebM file of the repository of at most ' +
  `${pictureBytesMax / 1024 / 1024} MiB`;

async function resolveWish(
  checkout: Checkout,
  folder: string,
  { kind, address, title }: Wish,
): Promise<(Preview & { picture: Picture | null }) | null> {
  if (/^[a-z][a-z0-9+.-]*:|^\/\//i.test(address)) {
    const url = asWebUrl(address);
    const guessed = kind ?? (url === null ? null : kindOfUrl(url));
    if (url === null || guessed === null) return null;
    return { kind: guessed, title, url, sha256: null, mediaType: null, bytes: null, picture: null };
  }
  const file = fileOf(folder, address);
  const content = file === null ? null : await checkout.readBytes(file, pictureBytesMax);
  const mediaType = content === null ? null : mediaTypeOf(content);
  if (content === null || mediaType === null) return null;
  const sha256 = createHash('sha256').update(content).digest('hex');
  const shown = mediaType.startsWith('video/') ? 'video' : mediaType === 'image/gif' ? 'gif' : 'image';
  const picture = { sha256, mediaType, content };
  return { kind: shown, title, url: null, sha256, mediaType, bytes: content.length, picture };
}

/** The file of the checkout a relative address means; "/" at its beginning is the root of the repository. */
function fileOf(folder: string, address: string): string | null {
  const plain = address.split(/[?#]/)[0] ?? '';
  try {
    const name = decodeURIComponent(plain);
    const file = path.posix.normalize(name.startsWith('/') ? name.slice(1) : inFolder(folder, name));
    return file === '.' || file.startsWith('../') || file.startsWith('/') ? null : file;
  } catch {
    return null;
  }
}

function kindOfUrl(url: string): Preview['kind'] {
  const ending = path.posix.extname(new URL(url).pathname).toLowerCase();
  if (ending === '.gif') return 'gif';
  return ['.mp4', '.webm', '.mov'].includes(ending) ? 'video' : 'image';
}

/** By the signature at the beginning. SVG is not among them: served from our origin it could run scripts. */
export function mediaTypeOf(content: Buffer): string | null {
  const ascii = (from: number, to: number) => content.toString('latin1', from, to);
  if (ascii(0, 8) === '\x89PNG\r\n\x1a\n') return 'image/png';
  if (ascii(0, 3) === '\xff\xd8\xff') return 'image/jpeg';
  if (/^GIF8[79]a$/.test(ascii(0, 6))) return 'image/gif';
  if (ascii(0, 4) === 'RIFF' && ascii(8, 12) === 'WEBP') return 'image/webp';
  if (ascii(0, 4) === '\x1a\x45\xdf\xa3') return 'video/webm';
  if (ascii(4, 8) !== 'ftyp') return null;
  return ['avif', 'avis'].includes(ascii(8, 12)) ? 'image/avif' : 'video/mp4';
}

async function readManifest(
  checkout: Checkout,
  dockerfilePath: string,
): Promise<{ wishes: Wish[]; folder: string; warnings: string[] }> {
  for (const folder of foldersUpFrom(dockerfilePath)) {
    for (const name of manifestNames) {
      const file = inFolder(folder, name);
      if (!(await checkout.hasFile(file))) continue;
      const text = await checkout.readText(file, structuredBytesMax);
      const parsed =
        text === null
          ? { ok: false as const, reason: `it is longer than ${structuredBytesMax / 1024} KiB` }
          : parseStructured(file, text);
      if (!parsed.ok) {
        return { wishes: [], folder, warnings: [`The previews in ${file} were not read: ${parsed.reason}.`] };
      }
      return { wishes: wishesOf(parsed.value), folder, warnings: [] };
    }
  }
  return { wishes: [], folder: '', warnings: [] };
}

/** A list, alone or under one of its usual names; an item is an address or says kind, address and title. */
function wishesOf(value: unknown): Wish[] {
  const lists = isRecord(value) ? [value.previews, value.tiles, value.items, value.cards] : [value];
  const items = lists.find(Array.isArray) ?? [];
  return items.slice(0, itemsReadMax).flatMap((item: unknown): Wish[] => {
    if (typeof item === 'string') return [{ kind: null, address: item.trim(), title: null }];
    if (!isRecord(item)) return [];
    const address = firstText(item, ['url', 'src', 'path', 'image', 'file', 'href']);
    const title = firstText(item, ['title', 'caption', 'alt', 'name']);
    const kind = firstText(item, ['kind', 'type'])?.toLowerCase() ?? '';
    const known = Object.hasOwn(kinds, kind) ? (kinds[kind] ?? null) : null;
    const wish = {
      kind: known,
      address: address?.trim() ?? '',
      title: title ? asPlainLine(title, titleCharsMax) : null,
    };
    return address === undefined ? [] : [wish];
  });
}

function firstText(item: Record<string, unknown>, names: readonly string[]): string | undefined {
  return names.map(name => item[name]).find(value => typeof value === 'string');
}
