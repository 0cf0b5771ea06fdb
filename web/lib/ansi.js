/** Colours of terminals (ECMA-48 SGR) as classes; every other control sequence is left out. */

const colors = ['black', 'red', 'green', 'yellow', 'blue', 'magenta', 'cyan', 'white'];
const esc = '\u001b';
const sequence = new RegExp(
  [
    `${esc}\\[([0-9;]*)m`,
    `${esc}\\][^\u0007${esc}]*(?:\u0007|${esc}\\\\)`,
    `${esc}\\[[0-?]*[ -/]*[@-~]`,
    `${esc}[@-Z\\\\-_]`,
  ].join('|'),
  'g',
);
const controls = /(?!\t)\p{Cc}/gu;

/** @typedef {{ text: string, classes: string }} Piece */

/**
 * What a terminal would show of a line in the end: a carriage return begins it anew.
 * @param {string} line
 * @returns {Piece[]}
 */
export function piecesOf(line) {
  const shown = line.replace(/\r+$/, '').split('\r').at(-1) ?? '';
  if (!shown.includes(esc)) return [{ text: shown.replace(controls, ''), classes: '' }];
  const style = { color: '', isBold: false, isDim: false };
  /** @type {Piece[]} */
  const pieces = [];
  let from = 0;
  const push = (/** @type {string} */ raw) => {
    const text = raw.replace(controls, '');
    if (text === '') return;
    const classes = [style.color, style.isBold ? 'bold' : '', style.isDim ? 'dim' : '']
      .filter(Boolean)
      .join(' ');
    pieces.push({ text, classes });
  };
  for (const match of shown.matchAll(sequence)) {
    push(shown.slice(from, match.index));
    from = match.index + match[0].length;
    if (match[1] !== undefined) restyle(style, match[1]);
  }
  push(shown.slice(from));
  return pieces;
}

/** @param {{ color: string, isBold: boolean, isDim: boolean }} style @param {string} parameters */
function restyle(style, parameters) {
  const codes = parameters.split(';').map(Number);
  for (let at = 0; at < codes.length; at += 1) {
    const code = codes[at] ?? 0;
    if (code === 0) Object.assign(style, { color: '', isBold: false, isDim: false });
    else if (code === 1) style.isBold = true;
    else if (code === 2) style.isDim = true;
    else if (code === 22) Object.assign(style, { isBold: false, isDim: false });
    else if (code === 39) style.color = '';
    else if (code >= 30 && code <= 37) style.color = `ansi-${colors[code - 30]}`;
    else if (code >= 90 && code <= 97) style.color = `ansi-${colors[code - 90]}`;
    // 256 colours and true colour are not shown; their parameters are no codes.
    else if (code === 38 || code === 48) at += codes[at + 1] === 5 ? 2 : 4;
  }
}
