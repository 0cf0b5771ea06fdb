/**
 * What a README says first: its title, its first paragraph as plain text, and the pictures it shows. Markdown is read line by
 * line and only as far as that takes; every pattern is bounded, so that no README costs more than its length.
 */
import { type Checkout, foldersUpFrom, inFolder } from './checkout.ts';
import { asPlainLine } from './text.ts';

const readmeBytesMax = 256 * 1024;
const paragraphCharsMax = 8_000;
const titleCharsMax = 120;
const descriptionCharsMax = 1_000;
const picturesReadMax = 24;

type ReadmePicture = { address: string; title: string | null };
export type Readme = {
  /** Folder the README is in; addresses of pictures are relative to it. */
  folder: string;
  title: string | null;
  description: string | null;
  pictures: ReadmePicture[];
};

const rank = ['.md', '.markdown', '.mdx', '', '.txt', '.rst', '.adoc'];

/** The README beside the Dockerfile, else the one nearest above it. */
export async function readReadme(checkout: Checkout, dockerfilePath: string): Promise<Readme | null> {
  for (const folder of foldersUpFrom(dockerfilePath)) {
    const names = (await checkout.list(folder)).map(({ name }) => name);
    const readmes = names.filter(name => rankName(name) !== -1).sort((a, b) => rankName(a) - rankName(b));
    for (const name of readmes) {
      const text = await checkout.readText(inFolder(folder, name), readmeBytesMax);
      if (text !== null && text.trim() !== '') return { folder, ...parseReadme(text) };
    }
  }
  return null;
}

function rankName(name: string): number {
  const [, ending] = /^readme(\.[a-z]+)?$/i.exec(name) ?? [];
  return /^readme/i.test(name) ? rank.indexOf(ending?.toLowerCase() ?? (name.length === 6 ? '' : '?')) : -1;
}

type Block = { kind: 'heading' | 'text' | 'other'; text: string };

/** Title, first paragraph and pictures of a Markdown (or plain) text. */
export function parseReadme(text: string): Omit<Readme, 'folder'> {
  const blocks = readBlocks(text);
  const titleAt = blocks.findIndex(
    ({ kind, text: heading }) => kind === 'heading' && toPlain(heading) !== '',
  );
  const title = titleAt === -1 ? null : asPlainLine(toPlain(blocks[titleAt]?.text ?? ''), titleCharsMax);
  const after = blocks.slice(titleAt + 1);
  const paragraph = after.find(
    ({ kind, text: words }) => kind === 'text' && /\p{L}{2}/u.test(toPlain(words)),
  );
  const description =
    paragraph === undefined ? null : asPlainLine(toPlain(paragraph.text), descriptionCharsMax);
  return { title, description, pictures: findPictures(blocks) };
}

/** Paragraphs and headings. Code, tables, lists, quotes, rules, comments and front matter are `other` or left out. */
function readBlocks(text: string): Block[] {
  const lines = withoutComments(text.replace(/^\ufeff/, '')).split(/\r?\n/);
  const blocks: Block[] = [];
  let paragraph: string[] = [];
  let fence: string | null = null;
  let at = skipFrontMatter(lines);
  const end = () => {
    const kind = /^\s{0,3}([-*+>|]|\d+[.)])(\s|$)|^\s*\|/.test(paragraph[0] ?? '') ? 'other' : 'text';
    if (paragraph.length > 0) blocks.push({ kind, text: paragraph.join('\n').slice(0, paragraphCharsMax) });
    paragraph = [];
  };
  for (; at < lines.length; at += 1) {
    const line = lines[at] ?? '';
    const [, mark] = /^\s{0,3}(```|~~~)/.exec(line) ?? [];
    if (fence !== null) {
      if (mark === fence) fence = null;
    } else if (mark !== undefined) {
      end();
      fence = mark;
    } else if (/^\s{0,3}#{1,6}(\s|$)/.test(line)) {
      end();
      blocks.push({
        kind: 'heading',
        text: line
          .slice(0, paragraphCharsMax)
          .replace(/^[\s#]+/, '')
          .replace(/\s#+$/, ''),
      });
    } else if (/^\s{0,3}(=+|-+)\s*$/.test(line) && paragraph.length > 0) {
      blocks.push({ kind: 'heading', text: paragraph.join('\n').slice(0, paragraphCharsMax) });
      paragraph = [];
    } else if (/^\s*$/.test(line) || /^\s{0,3}([-*_=])(\s*\1){2,}\s*$/.test(line.slice(0, 200))) {
      end();
    } else if (/^\s{0,3}<h[1-6][\s>]/i.test(line)) {
      end();
      blocks.push({ kind: 'heading', text: line.slice(0, paragraphCharsMax) });
    } else if (!(paragraph.length === 0 && /^( {4}|\t)/.test(line))) {
      paragraph.push(line);
    }
  }
  end();
  return blocks;
}

function skipFrontMatter(lines: readonly string[]): number {
  if (lines[0]?.trim() !== '---') return 0;
  const close = lines.indexOf('---', 1);
  return close === -1 ? 0 : close + 1;
}

function withoutComments(text: string): string {
  let kept = '';
  let from = 0;
  for (let start = text.indexOf('<!--'); start !== -1; start = text.indexOf('<!--', from)) {
    kept += text.slice(from, start);
    const close = text.indexOf('-->', start);
    if (close === -1) return kept;
    from = close + 3;
  }
  return kept + text.slice(from);
}

const entities: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'", nbsp: ' ' };
const markdownPicture =
  /!\[([^[\]\n]{0,300})\]\(\s*<?([^\s()<>]{1,2048})>?(?:\s+["'][^"'\n]{0,300}["'])?\s*\)/g;
const htmlPicture = /<img\s[^>]{0,2000}>/gi;

/** The words alone: no pictures, links, emphasis, code marks and HTML. */
function toPlain(text: string): string {
  return text
    .replace(markdownPicture, ' ')
    .replace(/!\[[^[\]\n]{0,300}\]\[[^[\]\n]{0,300}\]/g, ' ')
    .replace(/<https?:\/\/[^<>\s]{1,2048}>/g, address => address.slice(1, -1))
    .replace(/<\/?[a-z][^<>]{0,2000}>/gi, ' ')
    .replace(/\[([^[\]]{0,1000})\]\([^()\n]{0,2048}\)/g, '$1')
    .replace(/\[([^[\]]{0,1000})\]\[[^[\]\n]{0,300}\]/g, '$1')
    .replace(/(\*\*|__|~~|`+)/g, '')
    .replace(/(^|[\s(])[*_](\S[^*_\n]{0,500})[*_](?=[\s).,;:!?]|$)/g, '$1$2')
    .replace(/\\([\\`*_{}[\]()#+.!-])/g, '$1')
    .replace(/&(amp|lt|gt|quot|#39|nbsp);/g, (_, name: string) => entities[name] ?? '')
    .replace(/\s+/g, ' ')
    .trim();
}

/** Pictures that say something about the app; badges do not. */
function findPictures(blocks: readonly Block[]): ReadmePicture[] {
  const found = new Map<string, ReadmePicture>();
  for (const { text } of blocks) {
    const fromMarkdown = [...text.matchAll(markdownPicture)].map(([, title = '', address = '']) => ({
      address,
      title,
    }));
    const fromHtml = [...text.matchAll(htmlPicture)].map(([tag]) => ({
      address: attributeOf(tag, 'src'),
      title: attributeOf(tag, 'alt'),
    }));
    for (const { address, title } of [...fromMarkdown, ...fromHtml]) {
      if (found.size >= picturesReadMax) return [...found.values()];
      if (address === '' || isBadge(address) || found.has(address)) continue;
      found.set(address, { address, title: asPlainLine(title, titleCharsMax) });
    }
  }
  return [...found.values()];
}

function attributeOf(tag: string, name: string): string {
  const pattern = new RegExp(
    `\\s${name}\\s{0,9}=\\s{0,9}(?:"([^"]{0,2048})"|'([^']{0,2048})'|([^\\s"'>]{1,2048}))`,
    'i',
  );
  const [, double, single, bare] = pattern.exec(tag) ?? [];
  return double ?? single ?? bare ?? '';
}

const badgeMakers = String.raw`shields\.io|badgen\.net|badge\.fury\.io|travis-ci\.(org|com)`;
const reportMakers = String.raw`codecov\.io|coveralls\.io|circleci\.com`;
const badgeHosts = new RegExp(String.raw`^https?://([^/]*\.)?(${badgeMakers}|${reportMakers})/`, 'i');

function isBadge(address: string): boolean {
  return badgeHosts.test(address) || /\bbadges?\b/i.test(address);
}
