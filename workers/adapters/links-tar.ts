/** A tar archive of symbolic links, and of nothing else. */
const blockBytes = 512;

export function linksTar(links: Readonly<Record<string, string>>): Buffer {
  const blocks = Object.entries(links).map(([name, target]) => {
    const block = Buffer.alloc(blockBytes);
    const put = (at: number, text: string) => block.write(text, at, 'latin1');
    put(0, name);
    put(100, '0000777\0');
    for (const at of [108, 116]) put(at, '0000000\0');
    for (const at of [124, 136]) put(at, '00000000000\0');
    put(148, ' '.repeat(8));
    put(156, '2');
    put(157, target);
    put(257, 'ustar\x0000');
    const sum = block.reduce((total, byte) => total + byte, 0);
    put(148, `${sum.toString(8).padStart(6, '0')}\0 `);
    return block;
  });
  return Buffer.concat([...blocks, Buffer.alloc(2 * blockBytes)]);
}
