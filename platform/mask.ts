/**
 * Takes secrets out of lines before anybody may read them.
 *
 * A value is looked for as it is and as tools print it: each line of one that has several, in base64 (also inside of a longer
 * text, as in `user:secret`, and wrapped as base64 wraps), in hexadecimal digits, URL-encoded, and as a string of JSON. All are
 * searched for at once by the automaton of Aho and Corasick, so that a line costs its length, whatever the values are.
 *
 * Whoever cuts long lines does so after masking: of half a secret at the end of a line six characters are known, others are not.
 */

/** A shorter text is in too many lines by chance, and is guessed at once: whoever takes a secret refuses such a value. */
export const maskedCharsMin = 6;
const mark = '***';
/** Columns after which `base64` and PEM files begin a new line. */
const base64Columns = [76, 64];

/** Whether at least one line of this value is long enough to be masked. */
export function isMaskable(value: string): boolean {
  return linesOf(value).some(line => line.length >= maskedCharsMin);
}

/** The same line with `***` for each of these values, wherever two of them overlap as well. */
export function maskSecrets(values: readonly string[]): (line: string) => string {
  const forms = new Set(values.flatMap(value => [...formsOf(value)]));
  const patterns = [...forms].filter(form => form.length >= maskedCharsMin);
  if (patterns.length === 0) return line => line;
  const spansIn = compile(patterns);
  return line => {
    const spans = spansIn(line);
    let masked = '';
    let from = 0;
    for (const { start, end } of spans) {
      masked += line.slice(from, start) + mark;
      from = end;
    }
    return from === 0 ? line : masked + line.slice(from);
  };
}

const linesOf = (value: string) => value.split(/[\r\n]+/).map(line => line.trim());

function* formsOf(value: string): Iterable<string> {
  const whole = value.trim().toWellFormed();
  for (const text of new Set([...linesOf(whole), whole])) {
    // Of a value with short lines only, its whole is still known where something prints it in one line.
    if (text.length < maskedCharsMin) continue;
    yield text;
    const inUrl = encodeURIComponent(text);
    for (const form of [inUrl, inUrl.replaceAll('%20', '+')]) {
      yield form;
      yield form.replaceAll(/%[0-9A-F]{2}/g, code => code.toLowerCase());
    }
    yield JSON.stringify(text).slice(1, -1);
    const hex = Buffer.from(text).toString('hex');
    yield hex;
    yield hex.toUpperCase();
    for (const form of base64Of(text)) {
      yield form;
      yield form.replaceAll('+', '-').replaceAll('/', '_');
    }
  }
}

/** The text alone, and the digits that it has wherever it stands in a longer one. */
function* base64Of(text: string): Iterable<string> {
  const bytes = Buffer.from(text);
  const alone = bytes.toString('base64');
  yield alone;
  yield alone.replaceAll('=', '');
  for (const columns of base64Columns) {
    for (let at = 0; alone.length > columns && at < alone.length; at += columns) {
      yield alone.slice(at, at + columns);
    }
  }
  for (const before of [0, 1, 2]) {
    const digits = Buffer.concat([Buffer.alloc(before), bytes]).toString('base64');
    const bits = (before + bytes.length) * 8;
    // Only digits all of whose six bits belong to the text.
    yield digits.slice(Math.ceil((before * 8) / 6), Math.floor(bits / 6));
  }
}

type Span = { start: number; end: number };

/** Nodes are numbers, and 0 is the root. One map holds all edges, by node and UTF-16 unit. */
function compile(patterns: readonly string[]): (line: string) => readonly Span[] {
  const { edges, depths, longest } = plant(patterns);
  const fails = linkFailures(edges, longest, depths.length);
  const isFirst = new Uint8Array(0x1_00_00);
  for (const pattern of patterns) isFirst[pattern.charCodeAt(0)] = 1;
  return line => {
    const spans: Span[] = [];
    let node = 0;
    for (let at = 0; at < line.length; at += 1) {
      const unit = line.charCodeAt(at);
      if (node === 0 && isFirst[unit] === 0) continue;
      node = step(edges, fails, node, unit);
      const length = longest[node] ?? 0;
      if (length > 0) cover(spans, { start: at + 1 - length, end: at + 1 });
    }
    const begun = depths[node] ?? 0;
    if (begun >= maskedCharsMin) cover(spans, { start: line.length - begun, end: line.length });
    return spans;
  };
}

/** The tree of all patterns: its edges, and for each node its depth and the length of the pattern that ends there. */
function plant(patterns: readonly string[]) {
  const edges = new Map<number, number>();
  const depths = [0];
  const longest = [0];
  for (const pattern of patterns) {
    let node = 0;
    for (let at = 0; at < pattern.length; at += 1) {
      const edge = edgeOf(node, pattern.charCodeAt(at));
      const next = edges.get(edge) ?? depths.length;
      if (next === depths.length) {
        edges.set(edge, next);
        depths.push(at + 1);
        longest.push(0);
      }
      node = next;
    }
    longest[node] = pattern.length;
  }
  return { edges, depths, longest };
}

const edgeOf = (node: number, unit: number) => node * 0x1_00_00 + unit;

/** For each node the longest other one that ends the same way; by it a node also learns the longest pattern that ends there. */
function linkFailures(edges: ReadonlyMap<number, number>, longest: number[], nodes: number): Int32Array {
  const fails = new Int32Array(nodes);
  const below: [unit: number, node: number][][] = Array.from({ length: nodes }, () => []);
  for (const [edge, node] of edges) below[Math.floor(edge / 0x1_00_00)]?.push([edge % 0x1_00_00, node]);
  const queue = [0];
  for (const parent of queue) {
    for (const [unit, node] of below[parent] ?? []) {
      fails[node] = parent === 0 ? 0 : step(edges, fails, fails[parent] ?? 0, unit);
      longest[node] ||= longest[fails[node] ?? 0] ?? 0;
      queue.push(node);
    }
  }
  return fails;
}

function step(edges: ReadonlyMap<number, number>, fails: Int32Array, from: number, unit: number): number {
  let node = from;
  for (;;) {
    const next = edges.get(edgeOf(node, unit));
    if (next !== undefined) return next;
    if (node === 0) return 0;
    node = fails[node] ?? 0;
  }
}

/** Adds a span whose end is not before any other's; what it touches becomes one with it. */
function cover(spans: Span[], { start, end }: Span): void {
  let from = start;
  for (let last = spans.at(-1); last !== undefined && last.end >= from; last = spans.at(-1)) {
    from = Math.min(from, last.start);
    spans.pop();
  }
  spans.push({ start: from, end });
}
