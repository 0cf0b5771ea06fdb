/** Reads the beginning of a tar stream: enough to see what is in a folder of a container, or what a small file says. */

const blockBytes = 512;
const nameBytesMax = 64 * 1024;

export type TarEntry =
  | { readonly kind: 'file'; readonly content: Buffer }
  | { readonly kind: 'link'; readonly link: string }
  | { readonly kind: 'other' };

/**
 * One entry after the other; leaving the loop ends the stream. A file is given with at most `bytesMax` of what it holds. Entries
 * that only describe the next one (long names) are not counted; a link whose target is too long for its header is no link.
 */
export async function* untar(stream: AsyncIterable<unknown>, bytesMax: number): AsyncIterable<TarEntry> {
  const source = stream[Symbol.asyncIterator]();
  let rest: Buffer = Buffer.alloc(0);
  /** Exactly so many bytes, or as many as there are. */
  const take = async (bytes: number): Promise<Buffer> => {
    const parts = [rest];
    let length = rest.length;
    while (length < bytes) {
      const { done, value } = await source.next();
      if (done) break;
      parts.push(value as Buffer);
      length += (value as Buffer).length;
    }
    const all = parts.length === 1 ? rest : Buffer.concat(parts);
    rest = all.subarray(bytes);
    return all.subarray(0, bytes);
  };
  const skip = async (bytes: number): Promise<void> => {
    for (let left = bytes; left > 0; ) {
      const part = await take(Math.min(left, nameBytesMax));
      if (part.length === 0) return;
      left -= part.length;
    }
  };
  try {
    for (;;) {
      const header = await take(blockBytes);
      if (header.length < blockBytes || header.every(byte => byte === 0)) return;
      const size = sizeOf(header);
      const padded = Math.ceil(size / blockBytes) * blockBytes;
      const type = String.fromCharCode(header[156] ?? 0);
      if ('xgLK'.includes(type)) {
        await skip(padded);
      } else if (type === '0' || type === '\0') {
        const kept = Math.min(size, bytesMax);
        const content = await take(kept);
        await skip(padded - kept);
        yield { kind: 'file', content };
      } else {
        await skip(padded);
        const link = header.subarray(157, 257).toString('utf8').replace(/\0.*$/s, '');
        yield type === '2' ? { kind: 'link', link } : { kind: 'other' };
      }
    }
  } finally {
    await source.return?.();
  }
}

/** Octal digits; of what is larger than they can say, 95 bits after a mark. */
function sizeOf(header: Buffer): number {
  const field = header.subarray(124, 136);
  if (((field[0] ?? 0) & 0x80) !== 0) return Number(field.readBigUInt64BE(4));
  return Number.parseInt(field.toString('latin1').replace(/[^0-7]/g, '') || '0', 8);
}
