/** What `--receipt <file>` of a verb that changes something leaves behind, for `apphub audit verify --receipt`. */
import { writeFile } from 'node:fs/promises';
import type { Output } from './output.ts';

/** One receipt, or a list where a verb made several changes. That there is none is said; the change was made all the same. */
export function openReceiptFile(file: string, out: Pick<Output, 'note'>) {
  const receipts: unknown[] = [];
  return async ({ receipt }: { receipt?: unknown }): Promise<void> => {
    if (receipt === undefined) {
      out.note(`The change was made, but nothing is signed yet that proves it: nothing is added to ${file}.`);
      return;
    }
    receipts.push(receipt);
    const kept = receipts.length === 1 ? receipts[0] : receipts;
    await writeFile(file, `${JSON.stringify(kept, null, 2)}\n`);
  };
}
