/**
 * A tar stream on its way: each header is looked at, and may be changed; what is in the files passes by untouched. Nothing is
 * kept of it but the header that is under way.
 */
import { Transform, type TransformCallback } from 'node:stream';

const blockBytes = 512;
const field = { uid: [108, 8], gid: [116, 8], size: [124, 12], sum: [148, 8], type: [156, 1] } as const;

export type TarHeader = {
  /** The block itself, to be changed by `setOwner`. */
  readonly block: Buffer;
  readonly size: number;
  readonly uid: number;
  readonly gid: number;
  readonly isFolder: boolean;
  /** It only describes the header behind it. */
  readonly isExtra: boolean;
};

export function tarHeaders(onHeader: (header: TarHeader) => void): Transform {
  let begun = Buffer.alloc(0);
  /** How much of the present file, with what fills its last block, is still to pass. */
  let bodyLeft = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done: TransformCallback) {
      try {
        for (let at = 0; at < chunk.length; ) {
          if (bodyLeft > 0) {
            const part = chunk.subarray(at, at + bodyLeft);
            bodyLeft -= part.length;
            at += part.length;
            this.push(part);
            continue;
          }
          const part = chunk.subarray(at, at + blockBytes - begun.length);
          at += part.length;
          begun = Buffer.concat([begun, part]);
          if (begun.length < blockBytes) continue;
          const block = begun;
          begun = Buffer.alloc(0);
          // Zeros are the end, or lie behind it.
          if (block.some(byte => byte !== 0)) {
            const header = headerOf(block);
            bodyLeft = Math.ceil(header.size / blockBytes) * blockBytes;
            onHeader(header);
          }
          this.push(block);
        }
        done();
      } catch (error) {
        done(error instanceof Error ? error : new Error(String(error)));
      }
    },
    flush(done: TransformCallback) {
      done(begun.length > 0 || bodyLeft > 0 ? new Error('The archive ends in the middle of a file') : null);
    },
  });
}

function headerOf(block: Buffer): TarHeader {
  const type = String.fromCharCode(block[field.type[0]] ?? 0);
  return {
    block,
    // Links and folders have none, whatever they say.
    size: '123456'.includes(type) ? 0 : numberIn(block, field.size),
    uid: numberIn(block, field.uid),
    gid: numberIn(block, field.gid),
    isFolder: type === '5',
    isExtra: 'xgLK'.includes(type),
  };
}

/** Octal digits; a number too large for them is in binary, behind a mark. */
function numberIn(block: Buffer, [from, length]: readonly [number, number]): number {
  const part = block.subarray(from, from + length);
  if (((part[0] ?? 0) & 0x80) !== 0) {
    return part.subarray(1).reduce((sum, byte) => sum * 256 + byte, (part[0] ?? 0) & 0x7f);
  }
  const digits = part.toString('latin1').replace(/[\0 ]+/g, '');
  if (!/^[0-7]*$/.test(digits)) throw new Error('This is no archive');
  return digits === '' ? 0 : Number.parseInt(digits, 8);
}

export function setOwner({ block }: TarHeader, { uid, gid }: { uid: number; gid: number }): void {
  write(block, field.uid, uid);
  write(block, field.gid, gid);
  const [at, length] = field.sum;
  block.fill(' ', at, at + length);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(length - 2, '0')}\0 `, at, 'latin1');
}

function write(block: Buffer, [at, length]: readonly [number, number], value: number): void {
  const digits = value.toString(8);
  if (digits.length < length) {
    block.write(`${digits.padStart(length - 1, '0')}\0`, at, 'latin1');
    return;
  }
  block.fill(0, at, at + length);
  block.writeUInt32BE(value, at + length - 4);
  block[at] = 0x80;
}
