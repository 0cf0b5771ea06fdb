/**
 * The part of verification that costs time and can be done anywhere: lines of an export into hashes of leaves and other lines.
 */
import { hash } from 'node:crypto';
import { hashBytes } from './merkle.ts';

const newline = 0x0a;
const brace = 0x7b;
const leafPrefix = 0x00;
const positionName = Buffer.from(',"position":"');

type Line = {
  /** How many leaves of the chunk come before it. */
  readonly after: number;
  readonly text: string;
};

export type Chunk = {
  /** Of each leaf, one after the other. */
  readonly hashes: Uint8Array;
  /** Of each leaf; all ones where it does not say. */
  readonly positions: BigUint64Array;
  readonly lines: readonly Line[];
};

export const noPosition = 0xffff_ffff_ffff_ffffn;

/**
 * Whole lines only. `bytes` has one byte before the first line, and is written into: each line's hash is taken together with
 * the byte before it, so nothing has to be copied.
 */
export function readChunk(bytes: Buffer): Chunk {
  const leavesMax = Math.ceil(bytes.length / 64) + 1;
  let hashes = Buffer.allocUnsafe(leavesMax * hashBytes);
  let positions = new BigUint64Array(leavesMax);
  const lines: Line[] = [];
  let count = 0;
  for (let from = 1; from < bytes.length; ) {
    const end = bytes.indexOf(newline, from);
    const to = end < 0 ? bytes.length : end;
    if (bytes[from] === brace) {
      if (count === positions.length) {
        hashes = Buffer.concat([hashes, Buffer.allocUnsafe(hashes.length)]);
        const more = new BigUint64Array(positions.length * 2);
        more.set(positions);
        positions = more;
      }
      bytes[from - 1] = leafPrefix;
      hashes.set(hash('sha256', bytes.subarray(from - 1, to), 'buffer'), count * hashBytes);
      positions[count] = positionIn(bytes, from, to);
      count += 1;
    } else lines.push({ after: count, text: bytes.toString('utf8', from, to) });
    from = to + 1;
  }
  // Copies, so that they can be handed to another thread without what lies around them.
  return {
    hashes: new Uint8Array(hashes.subarray(0, count * hashBytes)),
    positions: positions.slice(0, count),
    lines,
  };
}

/** The last member of this name: those inside of data and metadata come before, and no text holds a bare quote. */
function positionIn(bytes: Buffer, from: number, to: number): bigint {
  const at = bytes.lastIndexOf(positionName, to);
  if (at < from) return noPosition;
  let value = 0;
  let digits = 0;
  const start = at + positionName.length;
  for (let next = start; next < to; next += 1) {
    const digit = (bytes[next] as number) - 0x30;
    if (digit < 0 || digit > 9) break;
    digits += 1;
    if (digits > 15) return BigInt(/^\d{1,20}/.exec(bytes.toString('latin1', start, to))?.[0] ?? 0);
    value = value * 10 + digit;
  }
  return digits === 0 ? noPosition : BigInt(value);
}
