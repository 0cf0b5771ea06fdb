/**
 * What somebody typed, taken apart: words and tags. Nothing that is typed is an error; what is no tag is words, and what holds
 * neither letters nor digits asks for nothing.
 */
import { clean, fold, foldTag, nameLexeme, wordsOf } from '../../domain/apps/words.ts';
import { tagKeyPattern } from '../../domain/kernel/limits.ts';

const wordsPerQueryMax = 12;
const tagsPerQueryMax = 20;

export type Query = {
  readonly words: readonly string[];
  readonly tags: readonly string[];
  readonly hasText: boolean;
};

const key = new RegExp(tagKeyPattern);
/** `key:"value with spaces"`, or anything up to the next white space (or comma, in a list of tags). */
const pieces = /[^\s:"]+:"[^"]*"|\S+/gu;
const tagPieces = /[^\s,:"]+:"[^"]*"|[^\s,]+/gu;

/** The folded tag that a piece of text is; undefined for one that is no tag. `https://…` is none. */
function tagOf(piece: string): string | undefined {
  const at = piece.indexOf(':');
  if (at < 1) return undefined;
  const name = fold(piece.slice(0, at));
  const value = piece.slice(at + 1).replace(/^"(.*)"$/su, '$1');
  if (!key.test(name) || value.trim() === '' || value.startsWith('//')) return undefined;
  return foldTag({ key: name, value });
}

/** Words and tags of `q`, and the tags of `tags`. Beyond 12 words and 20 tags the rest is left out. */
export function parseQuery(q: string, tags: readonly string[] = []): Query {
  const asked = new Set<string>();
  const rest: string[] = [];
  for (const [piece] of clean(q).matchAll(pieces)) {
    const tag = tagOf(piece);
    if (tag === undefined) rest.push(piece);
    else asked.add(tag);
  }
  for (const list of tags) {
    // What is not a tag is one that no app has.
    for (const [piece] of clean(list).matchAll(tagPieces)) asked.add(tagOf(piece) ?? fold(piece));
  }
  return {
    words: wordsOf(rest.join(' '), wordsPerQueryMax),
    tags: [...asked].slice(0, tagsPerQueryMax),
    hasText: rest.length > 0,
  };
}

/**
 * What is asked for first, second and so on, each a tsquery that matches all that the one before it matches: the whole name,
 * whole words of the name, beginnings of words of the name, of name and tags, of anything. Words hold only letters and digits.
 */
export function tiersOf(words: readonly string[]): readonly string[] {
  if (words.length === 0) return [];
  const all = (weight: number, suffix: string) =>
    words.map(word => `'${weight}${word}'${suffix}`).join(' & ');
  const name = nameLexeme(words);
  const whole = name === '' ? [] : [`'0${name}'`];
  return [...whole, all(1, ''), all(1, ':*'), all(2, ':*'), all(3, ':*')];
}
