/**
 * Old shapes of events, lifted to today's when they are read. The log is never edited: when an event changes shape, a
 * function is added here under its type, with a stored example of the old shape in the test.
 */
import type { Json } from '../domain/kernel/decider.ts';

type Data = { readonly [key: string]: Json };

const upcasters: { readonly [type: string]: (data: Data) => Data } = {};

/** The event's data in today's shape. */
export function upcast(type: string, data: Data): Data {
  return upcasters[type]?.(data) ?? data;
}
