/** The field Range of a request (RFC 9110, 14): one part of something that is read by bytes, for whoever goes on with a file. */

export type Span = { readonly start: number; readonly end: number };

/** `end` is exclusive. Undefined: all of it is wanted, or the field is none that is understood. Null: there is nothing there. */
export function rangeOf(field: string | undefined, bytes: number): Span | undefined | null {
  const [, first = '', last = ''] = /^\s*bytes\s*=\s*(\d*)\s*-\s*(\d*)\s*$/i.exec(field ?? '') ?? [];
  if (first === '' && last === '') return undefined;
  if (first === '') {
    const start = Math.max(0, bytes - Number(last));
    return start < bytes ? { start, end: bytes } : null;
  }
  const start = Number(first);
  if (last !== '' && Number(last) < start) return undefined;
  if (start >= bytes) return null;
  return { start, end: last === '' ? bytes : Math.min(Number(last) + 1, bytes) };
}
