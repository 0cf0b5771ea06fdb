/** Names and other text that is shown in one line, in pages, tables and terminals alike. */

/** Undefined when the text is fine, else a sentence that says what would be right. */
export function checkOneLine(text: string): string | undefined {
  // Cc: control characters, also those a terminal obeys. Zl, Zp: other line ends. The rest turns the direction of reading.
  if (/[\p{Cc}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]/u.test(text))
    return 'Use one line without control characters.';
  return text.trim() === '' ? 'Use at least one visible character.' : undefined;
}
