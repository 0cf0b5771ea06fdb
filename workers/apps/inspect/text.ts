/** Foreign text, made fit to be stored and shown: no control characters, no broken characters, never longer than told. */

/** One line of at most `charsMax` characters (an ellipsis shows that more was there), or null when nothing is left. */
export function asPlainLine(text: string, charsMax: number): string | null {
  // Cut first: what follows costs time for each character.
  const characters = Array.from(text.slice(0, charsMax * 8).toWellFormed())
    .map(character => (character < ' ' || character === '\u007f' ? ' ' : character))
    .join('')
    .replace(/\s+/g, ' ')
    .trim();
  const cut = Array.from(characters);
  if (cut.length === 0) return null;
  return cut.length <= charsMax
    ? characters
    : `${cut
        .slice(0, charsMax - 1)
        .join('')
        .trimEnd()}…`;
}

/** The address when it is a plain https one (http too where told), without a name and password; else null. */
export function asWebUrl(text: string, protocols: readonly string[] = ['https:']): string | null {
  const url = text.length <= 2_048 ? URL.parse(text.trim()) : null;
  if (url === null || !protocols.includes(url.protocol)) return null;
  return url.username === '' && url.password === '' && url.hostname !== '' ? url.href : null;
}
