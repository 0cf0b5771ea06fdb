/**
 * JSON in the one form of RFC 8785 (JCS): members in the order of their names' UTF-16 code units, numbers and strings as
 * ECMAScript writes them, no spaces. It has a form for whatever JSON.parse can give, however deep, so that no event can stop
 * the tree: a surrogate without its other half, where the RFC wants an error, is written as `\udXXX`, as JSON.stringify does.
 */
const plainCharsMax = 4_096;
const needsEscape = /["\\\p{Cc}\p{Cs}]/u;
const namesMax = 4_096;
/** Names recur with every event, so how they are written is kept. */
const names = new Map<string, string>();

type Frame = {
  readonly of: Readonly<Record<string, unknown>> | readonly unknown[];
  readonly keys: readonly string[] | null;
  at: number;
};

/** The canonical text of a JSON value. Costs no more stack for a deep value than for a flat one. */
export function canonicalJson(value: unknown): string {
  if (typeof value !== 'object' || value === null) return scalar(value);
  let text = '';
  let frame: Frame = open(value);
  const outer: Frame[] = [];
  for (;;) {
    const { of, keys } = frame;
    const length = keys === null ? (of as readonly unknown[]).length : keys.length;
    if (frame.at === length) {
      text += length === 0 ? (keys === null ? '[]' : '{}') : keys === null ? ']' : '}';
      const next = outer.pop();
      if (next === undefined) return text;
      frame = next;
      continue;
    }
    text += frame.at > 0 ? ',' : keys === null ? '[' : '{';
    const key = keys?.[frame.at];
    const member =
      key === undefined
        ? (of as readonly unknown[])[frame.at]
        : (of as Readonly<Record<string, unknown>>)[key];
    if (key !== undefined) text += nameOf(key);
    frame.at += 1;
    if (typeof member === 'object' && member !== null) {
      outer.push(frame);
      frame = open(member);
    } else text += scalar(member);
  }
}

function open(value: object): Frame {
  if (Array.isArray(value)) return { of: value, keys: null, at: 0 };
  const keys = Object.keys(value);
  for (let at = 1; at < keys.length; at += 1) {
    if ((keys[at - 1] as string) > (keys[at] as string)) {
      keys.sort();
      break;
    }
  }
  return { of: value as Readonly<Record<string, unknown>>, keys, at: 0 };
}

/** Short texts without anything to escape are most of what there is. */
function scalar(value: unknown): string {
  if (typeof value === 'string')
    return value.length < plainCharsMax && !needsEscape.test(value) ? `"${value}"` : JSON.stringify(value);
  // What JSON cannot hold, and so no log ever gives, would be undefined here.
  return JSON.stringify(value) ?? 'null';
}

function nameOf(key: string): string {
  const known = names.get(key);
  if (known !== undefined) return known;
  const written = `${JSON.stringify(key)}:`;
  if (names.size < namesMax) names.set(key, written);
  return written;
}
