/** What somebody may have meant: the known word that is the fewest slips away from the one typed. */

const wordCharsMax = 40;

/**
 * The nearest of `known` within a third of the typed word's length (at least one slip); undefined where none
 * is near.
 */
export function nearest(typed: string, known: readonly string[]): string | undefined {
  if (typed.length > wordCharsMax) return undefined;
  let best: { word: string; slips: number } | undefined;
  for (const word of known) {
    const slips = word.startsWith(typed) && typed.length > 1 ? 1 : slipsBetween(typed, word);
    if (best === undefined || slips < best.slips) best = { word, slips };
  }
  const slipsMax = Math.max(1, Math.ceil(typed.length / 3));
  return best !== undefined && best.slips <= slipsMax ? best.word : undefined;
}

/** Optimal string alignment distance: letters added, left out, changed, or swapped with their neighbour. */
function slipsBetween(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, column) => column)];
  const at = (row: number, column: number) => rows[row]?.[column] ?? Number.POSITIVE_INFINITY;
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    rows.push(row);
    for (let j = 1; j <= b.length; j++) {
      const changed = at(i - 1, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const swapped = a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1] ? at(i - 2, j - 2) + 1 : changed;
      row.push(Math.min(at(i - 1, j) + 1, at(i, j - 1) + 1, changed, swapped));
    }
  }
  return at(a.length, b.length);
}
