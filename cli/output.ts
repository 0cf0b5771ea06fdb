/** Where answers go: standard output for what was asked for, standard error for everything said about it. */
import type { WriteStream } from 'node:tty';
import { duration, plain } from './format.ts';
import { type Column, tableLines } from './table.ts';

const styles = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, blue: 34, cyan: 36 } as const;
type Style = keyof typeof styles;

export type Output = {
  readonly json: boolean;
  /** Whether standard output is a terminal. */
  readonly terminal: boolean;
  /** The width of the terminal; Infinity where nothing is to be cut. */
  readonly columns: number;
  paint(style: Style, text: string): string;
  line(text?: string): void;
  /** One JSON document: indented for people on a terminal, one line otherwise. */
  document(value: unknown): void;
  /** One line of NDJSON. */
  record(value: unknown): void;
  table(heads: readonly Column[], rows: readonly (readonly string[])[], paint?: CellPaint): void;
  /** Something for the person in front, not for what reads the output. */
  note(text: string): void;
  error(lines: readonly string[]): void;
  /** Raw text, waiting for a slow reader. */
  write(text: string): Promise<void>;
};

type CellPaint = (cell: string, column: number, row: number) => string;
type Env = Readonly<Record<string, string | undefined>>;
type Stream = NodeJS.WriteStream;

/** NO_COLOR (no-color.org) takes the colours away wherever it is set to anything but the empty string. */
export function openOutput(json: boolean, env: Env, stdout: Stream, stderr: Stream): Output {
  const terminal = stdout.isTTY === true;
  const columns = terminal ? (stdout.columns ?? 80) : Number(env.COLUMNS) || Number.POSITIVE_INFINITY;
  const painter = (stream: Stream) => (style: Style, text: string) =>
    colours(stream, env) && text !== '' ? `\u001b[${styles[style]}m${text}\u001b[0m` : text;
  const [paint, paintError] = [painter(stdout), painter(stderr)];
  const line = (text = '') => void stdout.write(`${text}\n`);
  return {
    json,
    terminal,
    columns,
    paint,
    line,
    document: value => line(JSON.stringify(value, null, terminal ? 2 : undefined)),
    record: value => line(JSON.stringify(value)),
    table: (heads, rows, cellPaint) => {
      const cells = rows.map(row => row.map(plain));
      const [head = '', ...rest] = tableLines(heads, cells, columns, cellPaint);
      line(paint('bold', head));
      for (const text of rest) line(text);
    },
    note: text => void stderr.write(`${paintError('dim', plain(text))}\n`),
    error: lines => {
      const [first = '', ...rest] = lines.map(text => text.split('\n').map(plain).join('\n'));
      stderr.write(`${[`${paintError('red', 'apphub:')} ${first}`, ...rest].join('\n')}\n`);
    },
    write: text =>
      new Promise(resolve => {
        if (stdout.write(text)) resolve();
        else stdout.once('drain', resolve);
      }),
  };
}

function colours(stream: Pick<WriteStream, 'isTTY'>, env: Env): boolean {
  return stream.isTTY === true && (env.NO_COLOR ?? '') === '' && env.TERM !== 'dumb';
}

const styleOfStatus: Readonly<Record<string, Style>> = {
  ready: 'green',
  succeeded: 'green',
  running: 'green',
  active: 'green',
  open: 'green',
  failed: 'red',
  cancelled: 'dim',
  '-': 'dim',
  archived: 'dim',
  stopped: 'dim',
  expired: 'dim',
  revoked: 'dim',
  ended: 'dim',
};

/** A status in its colour: green is good, red is bad, dim is over, yellow is under way. */
export function status(out: Output, text: string): string {
  return out.paint(styleOfStatus[text.trim()] ?? 'yellow', text);
}

/** `Name      value` lines; what has no value is left out. */
export function facts(out: Output, pairs: readonly (readonly [string, string | null | undefined])[]): void {
  const shown = pairs.filter(([, value]) => value != null && value !== '' && value !== '-');
  const width = Math.max(...shown.map(([name]) => name.length));
  for (const [name, value] of shown) out.line(`  ${out.paint('dim', name.padEnd(width))}  ${value}`);
}

export function took(ms: number | null | undefined): string {
  return ms == null ? '' : ` in ${duration(ms)}`;
}
