/** What is typed into the search box, taken apart. The server reads it the same way (read-api/apps/query.ts and tag.ts). */

const wordBefore = /[^\s:",]+:"[^"]*$|[^\s,]*$/u;
const pieces = /[^\s:"]+:"[^"]*"|\S+/gu;

/** Where the word at the caret begins and ends. @param {string} text @param {number} caret */
export function wordAt(text, caret) {
  const [before = ''] = wordBefore.exec(text.slice(0, caret)) ?? [];
  // An opened quotation goes on to its end, another word to the next space.
  const [behind = ''] = (before.includes('"') ? /^[^"]*"?/u : /^[^\s,]*/u).exec(text.slice(caret)) ?? [];
  return { from: caret - before.length, to: caret + behind.length, before };
}

/**
 * The text with the word at the caret replaced, and where the caret goes.
 * @param {string} text
 * @param {number} caret
 * @param {string} value
 */
export function complete(text, caret, value) {
  const { from, to } = wordAt(text, caret);
  const rest = text.slice(to);
  // A key is still to be given its value; after a pair the next word may begin.
  const isWhole = !value.endsWith(':');
  const gap = isWhole && !rest.startsWith(' ') ? ' ' : '';
  const next = text.slice(0, from) + value + gap + rest;
  return { text: next, caret: from + value.length + (isWhole ? 1 : 0) };
}

/** @param {{ key: string, value: string }} tag */
export const tagText = ({ key, value }) =>
  /[\s,"]/u.test(value) ? `${key}:"${value.replaceAll('"', '')}"` : `${key}:${value}`;

/** The tags that a text asks for, in its own spelling. @param {string} text @returns {string[]} */
export const tagsIn = text =>
  [...text.matchAll(pieces)]
    .map(([piece]) => piece)
    .filter(piece => /^[a-z0-9][a-z0-9._/-]*:(?!\/\/)./iu.test(piece));

/** Adds the tag to the text, or takes it out where it is in it. @param {string} text @param {string} tag */
export function toggleTag(text, tag) {
  const all = [...text.matchAll(pieces)].map(([piece]) => piece);
  const isSame = (/** @type {string} */ piece) => piece.toLowerCase() === tag.toLowerCase();
  return (all.some(isSame) ? all.filter(piece => !isSame(piece)) : [...all, tag]).join(' ');
}
