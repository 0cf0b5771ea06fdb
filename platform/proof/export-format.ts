/**
 * The file of `apphub audit export`: lines of UTF-8, each ending in a newline. A line that begins with `{` is a leaf, byte for
 * byte; every other one is a word and what belongs to it. docs/audit.md describes it for those who write a verifier.
 *
 *   apphub audit export v1
 *   origin <name the tree is signed under>
 *   from <index of the first leaf> <head of the chain before it>
 *   peak <hash>                       the peaks of the tree before the first leaf, left to right
 *   key <public key>                  as it was known where the file was made
 *   change <note>                     a change of keys, in base64
 *   {leaf}
 *   checkpoint <note>                 in base64; over exactly the leaves before this line
 *   tile <index> <hashes>             leaf hashes as the tree has kept them: of the leaves since the last tile
 *   end <size>
 *
 * A tile follows its leaves: after each leaf whose index is 255 modulo 256, and after the last one.
 */
export const exportTitle = 'apphub audit export v1';

const inBase64 = (bytes: Buffer | string) => Buffer.from(bytes as string).toString('base64');

export const exportLines = {
  title: () => `${exportTitle}\n`,
  origin: (origin: string) => `origin ${origin}\n`,
  from: (index: number, chain: Buffer) => `from ${index} ${chain.toString('base64')}\n`,
  peak: (hash: Buffer) => `peak ${hash.toString('base64')}\n`,
  key: (vkey: string) => `key ${vkey}\n`,
  change: (note: string) => `change ${inBase64(note)}\n`,
  checkpoint: (note: string) => `checkpoint ${inBase64(note)}\n`,
  tile: (index: number, hashes: Buffer) => `tile ${index} ${hashes.toString('base64')}\n`,
  end: (size: number) => `end ${size}\n`,
} as const;
