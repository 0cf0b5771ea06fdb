/**
 * The bytes that stand for an event in the tree: canonical JSON of what the log itself says of it, as it is stored.
 *
 *   {"created":…,"data":…,"id":…,"json":true,"metadata":…,"position":"…","revision":"…","stream":…,"type":…,"v":1}
 *
 * Everything by which an event can be told from another is in it, and nothing that a reader adds: old shapes are not lifted,
 * and what is sealed stays sealed. Content that may have to be erased one day is stored as ciphertext and erased by destroying
 * its key, so leaves and proofs outlive it. `v` leaves room for another form.
 */
import type { StoredEvent } from '../../eventstore/store.ts';
import { canonicalJson } from './canonical-json.ts';

/** The text of the leaf; its bytes are those of UTF-8. Bytes that are no JSON are written in base64. */
export function leafOf(event: StoredEvent): string {
  const { created, data, id, isJson, metadata, position, revision, stream, type } = event;
  // In the order of the names, as canonical JSON has it.
  const before = `{"created":${canonicalJson(created)},"data":${written(data)},"id":${canonicalJson(id)}`;
  const middle = `,"json":${isJson},"metadata":${written(metadata)},"position":"${position}"`;
  const after = `,"revision":"${revision}","stream":${canonicalJson(stream)},"type":${canonicalJson(type)},"v":1}`;
  return before + middle + after;
}

const written = (value: unknown) =>
  canonicalJson(value instanceof Uint8Array ? Buffer.from(value).toString('base64') : value);

/** What can be read off a leaf. Undefined for text that is none. */
export type LeafFacts = {
  readonly position: bigint;
  readonly stream: string;
  readonly revision: bigint;
  readonly id: string;
  readonly type: string;
  readonly created: string;
};

export function factsOf(leaf: string): LeafFacts | undefined {
  let read: Partial<Record<string, unknown>> | null;
  try {
    read = JSON.parse(leaf);
  } catch {
    return undefined;
  }
  const { position, stream, revision, id, type, created } = read ?? {};
  const isFine =
    [stream, id, type, created].every(one => typeof one === 'string') &&
    [position, revision].every(one => typeof one === 'string' && /^\d{1,20}$/.test(one));
  if (!isFine) return undefined;
  return {
    position: BigInt(position as string),
    stream: stream as string,
    revision: BigInt(revision as string),
    id: id as string,
    type: type as string,
    created: created as string,
  };
}
