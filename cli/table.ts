/**
 * Columns that line up and fit the terminal: the columns that may shrink are cut with an ellipsis, widest
 * first.
 */

export type Column = { readonly title: string; readonly shrinks?: boolean; readonly right?: boolean };

const gap = '  ';
const columnCharsMin = 8;

/**
 * The lines of the table, header first. `columns` is the terminal's width; Infinity where nothing is cut.
 * `paint` colours a whole cell after its width is known, so colours never disturb the alignment.
 */
export function tableLines(
  heads: readonly Column[],
  rows: readonly (readonly string[])[],
  columns: number,
  paint: (cell: string, column: number, row: number) => string = cell => cell,
): string[] {
  const widths = widthsFitting(
    heads,
    heads.map(({ title }, at) => Math.max(...[title, ...rows.map(row => row[at] ?? '')].map(widthOf))),
    columns,
  );
  const line = (cells: readonly string[], row: number) =>
    heads
      .map((head, at) => {
        const cut = cutTo(cells[at] ?? '', widths[at] ?? 0);
        const pad = ' '.repeat(Math.max(0, (widths[at] ?? 0) - widthOf(cut)));
        const text = row < 0 ? cut : paint(cut, at, row);
        if (head.right === true) return pad + text;
        return at === heads.length - 1 ? text : text + pad;
      })
      .join(gap)
      .trimEnd();
  return [
    line(
      heads.map(({ title }) => title),
      -1,
    ),
    ...rows.map(line),
  ];
}

/**
 * Takes a character at a time from the widest column that may still shrink until the line fits, or nothing
 * shrinks.
 */
function widthsFitting(heads: readonly Column[], wanted: readonly number[], columns: number): number[] {
  const widths = [...wanted];
  const total = () => widths.reduce((sum, width) => sum + width, gap.length * (widths.length - 1));
  while (total() > columns) {
    const widest = Math.max(
      ...widths.filter((width, at) => heads[at]?.shrinks === true && width > columnCharsMin),
      0,
    );
    const at = widths.findIndex((width, index) => heads[index]?.shrinks === true && width === widest);
    if (widest === 0 || at < 0) break;
    widths[at] = widest - 1;
  }
  return widths;
}

const graphemes = new Intl.Segmenter(undefined, { granularity: 'grapheme' });
const eastAsian =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\uff01-\uff60\u3000-\u303e]/u;
const emoji = /\p{Emoji_Presentation}/u;
const ascii = /^[\x20-\x7e]*$/;

/** How many cells of a terminal the text takes: two for the scripts of East Asia and for emoji. */
export function widthOf(text: string): number {
  if (ascii.test(text)) return text.length;
  let width = 0;
  for (const { segment } of graphemes.segment(text))
    width += eastAsian.test(segment) || emoji.test(segment) ? 2 : 1;
  return width;
}

function cutTo(text: string, width: number): string {
  if (widthOf(text) <= width) return text;
  let [kept, used] = ['', 0];
  for (const { segment } of graphemes.segment(text)) {
    const more = widthOf(segment);
    if (used + more > width - 1) break;
    kept += segment;
    used += more;
  }
  return `${kept}…`;
}
