/**
 * Text as the search sees it. What is stored and what is asked go through the same functions, so accents, case, width and
 * punctuation never keep the two apart. Nothing here depends on the settings of a database.
 */

const wordCharsMax = 48;
const wordsPerTextMax = 400;
/**
 * What is compared and indexed of a longer text. An index entry must stay below 2,000 bytes, and folding can make
 * text longer.
 */
const foldedCharsMax = 200;

/** Text that JSON and PostgreSQL can both hold: without NUL and without halves of surrogate pairs. */
export function clean(text: string): string {
  return text.replaceAll('\0', '').toWellFormed();
}

/** Lower case, without accents, compatibility forms resolved (NFKD): `Café` and `CAFE` become one. */
export function fold(text: string): string {
  return clean(text)
    .normalize('NFKD')
    .replace(/\p{M}+/gu, '')
    .toLowerCase()
    .normalize('NFC');
}

/** The distinct words of a text in order: runs of letters and digits, each at most 48 characters long. */
export function wordsOf(text: string, countMax = wordsPerTextMax): string[] {
  const words = new Set<string>();
  for (const [run] of fold(text).matchAll(/[\p{L}\p{N}]+/gu)) {
    words.add([...run.slice(0, 2 * wordCharsMax)].slice(0, wordCharsMax).join('').toWellFormed());
    if (words.size >= countMax) break;
  }
  return [...words];
}

/** The first 200 characters of folded text: for an order, or an exact comparison. */
export function foldShort(text: string): string {
  return fold(text).trim().slice(0, foldedCharsMax).toWellFormed();
}

/** The form in which two tags are the same to a search. */
export function foldTag({ key, value }: { readonly key: string; readonly value: string }): string {
  return `${foldShort(key)}:${foldShort(value)}`;
}

/** One lexeme for a whole name: two names are the same to a search when their words are. Empty for a name that is too long. */
export function nameLexeme(words: readonly string[]): string {
  const lexeme = words.join('-');
  return lexeme.length > 2 * foldedCharsMax ? '' : lexeme;
}
