/**
 * What a .dockerignore leaves out of the context: https://docs.docker.com/build/concepts/context/#dockerignore-files
 *
 * Patterns come from strangers, so they are matched step by step, in time bounded by the lengths of pattern
 * and path, and never become regular expressions.
 */
const patternsMax = 500;
const patternCharsMax = 512;

/** One place of a pattern's segment: any run of characters, or exactly one that passes. */
type Token = 'run' | ((char: string) => boolean);
/** A segment between slashes; `deep` stands for any number of them. */
type Segment = 'deep' | readonly Token[];
type Pattern = { readonly keeps: boolean; readonly segments: readonly Segment[] };

export type IgnoreRules = {
  /** Whether the path, relative and with forward slashes, stays out. The last pattern that matches decides. */
  ignores(path: string): boolean;
  /** Whether something inside an ignored folder might be kept after all. */
  readonly hasExceptions: boolean;
};

/** Reads the text of a .dockerignore. Throws RangeError where it has more patterns than anybody needs. */
export function readDockerignore(text: string): IgnoreRules {
  const patterns: Pattern[] = [];
  for (const line of text.replace(/^\uFEFF/, '').split('\n')) {
    if (line.startsWith('#')) continue;
    const pattern = readPattern(line.trim());
    if (pattern === undefined) continue;
    patterns.push(pattern);
    if (patterns.length > patternsMax || line.length > patternCharsMax) {
      throw new RangeError(`.dockerignore has more than ${patternsMax} patterns, or one is too long`);
    }
  }
  return {
    hasExceptions: patterns.some(pattern => pattern.keeps),
    ignores(path) {
      const names = path.split('/');
      let ignored = false;
      for (const pattern of patterns) {
        // A pattern that would change nothing need not be matched.
        if (pattern.keeps === ignored && matchesPath(pattern.segments, names)) ignored = !pattern.keeps;
      }
      return ignored;
    },
  };
}

function readPattern(line: string): Pattern | undefined {
  const keeps = line.startsWith('!');
  const names: string[] = [];
  for (const name of (keeps ? line.slice(1).trim() : line).split('/')) {
    if (name === '' || name === '.') continue;
    if (name === '..') names.pop();
    else names.push(name);
  }
  if (names.length === 0) return undefined;
  return { keeps, segments: names.flatMap(readSegment) };
}

function readSegment(name: string): Segment[] {
  if (name === '**') return ['deep'];
  // `**.pyc` crosses slashes: it is `**/*.pyc`.
  if (name.startsWith('**')) return ['deep', readTokens(name.slice(1))];
  return [readTokens(name)];
}

function readTokens(name: string): Token[] {
  const tokens: Token[] = [];
  const chars = [...name];
  for (let i = 0; i < chars.length; i += 1) {
    const char = chars[i];
    if (char === '*') {
      if (tokens.at(-1) !== 'run') tokens.push('run');
    } else if (char === '?') {
      tokens.push(() => true);
    } else if (char === '[' && chars.indexOf(']', i + 2) !== -1) {
      const end = chars.indexOf(']', i + 2);
      tokens.push(readClass(chars.slice(i + 1, end)));
      i = end;
    } else {
      if (char === '\\' && i + 1 < chars.length) i += 1;
      const literal = chars[i];
      tokens.push(other => other === literal);
    }
  }
  return tokens;
}

/** Whether a name without slashes fits a pattern without slashes, as COPY and .dockerignore have them. */
export function fitsName(pattern: string, name: string): boolean {
  return matchesName(readTokens(pattern), name);
}

/** The inside of `[…]`: single characters and ranges, all of them turned round by a leading `^`. */
function readClass(chars: readonly string[]): (char: string) => boolean {
  const negated = chars[0] === '^';
  const ranges: [string, string][] = [];
  for (let i = negated ? 1 : 0; i < chars.length; i += 1) {
    const from = chars[i] ?? '';
    const isRange = chars[i + 1] === '-' && i + 2 < chars.length;
    ranges.push([from, isRange ? (chars[i + 2] ?? from) : from]);
    if (isRange) i += 2;
  }
  return char => ranges.some(([from, to]) => from <= char && char <= to) !== negated;
}

/** A pattern matches a path, and with it everything below. Reachable places in the pattern are kept as a set. */
function matchesPath(segments: readonly Segment[], names: readonly string[]): boolean {
  let places = closure(segments, new Set([0]));
  for (const name of names) {
    const next = new Set<number>();
    for (const place of places) {
      const segment = segments[place];
      if (segment === 'deep') next.add(place);
      else if (segment !== undefined && matchesName(segment, name)) next.add(place + 1);
    }
    places = closure(segments, next);
    if (places.has(segments.length)) return true;
    if (places.size === 0) return false;
  }
  return false;
}

/** `deep` may stand for nothing at all. */
function closure(segments: readonly Segment[], places: Set<number>): Set<number> {
  for (const place of places) if (segments[place] === 'deep') places.add(place + 1);
  return places;
}

/** Wildcards in one name: goes back to the last run only, so the work is at most name × pattern. */
function matchesName(tokens: readonly Token[], name: string): boolean {
  let t = 0;
  let n = 0;
  let runAt = -1;
  let runFrom = 0;
  while (n < name.length) {
    const token = tokens[t];
    if (token === 'run') {
      runAt = t;
      runFrom = n;
      t += 1;
    } else if (token?.(name.charAt(n))) {
      t += 1;
      n += 1;
    } else if (runAt >= 0) {
      t = runAt + 1;
      runFrom += 1;
      n = runFrom;
    } else {
      return false;
    }
  }
  while (tokens[t] === 'run') t += 1;
  return t === tokens.length;
}
