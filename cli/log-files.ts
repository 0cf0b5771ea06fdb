/** `apphub log verify|backup|restore`: the files of the embedded log, without a server. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { backupDirectory, restoreBackup } from '../eventstore/embedded/segment-backup.ts';
import { verifyStorage } from '../eventstore/embedded/segment-verify.ts';
import { exits, UsageError } from './exit.ts';
import { size } from './format.ts';
import { facts, type Output } from './output.ts';
import { defineVerb, type Options } from './verb.ts';

const where = {
  data: {
    type: 'string',
    value: 'folder',
    help: 'Where AppHub keeps its data; default: APPHUB_DATA_DIR, or ./data',
  },
} as const satisfies Options;

const problemsShownMax = 20;

/** Where the embedded log lies within a data folder. */
export function logFolder(data: string | undefined): string {
  return path.resolve(data ?? process.env.APPHUB_DATA_DIR ?? 'data', 'log');
}

function existingLog(data: string | undefined): string {
  const folder = logFolder(data);
  if (!existsSync(folder)) throw new UsageError(`There is no log in ${folder}.`);
  return folder;
}

export const verify = defineVerb({
  summary: "Check every record and every index entry of the log's files",
  words: '',
  options: where,
  examples: ['apphub log verify', 'apphub log verify --data /var/lib/apphub --json'],
  about: 'Changes nothing, and may run beside the server. Ends with 1 when something is damaged.',
  run: async ({ options, out }) => {
    const folder = existingLog(options.data);
    const verified = await verifyStorage(folder);
    if (out.json) out.document({ folder, ...verified });
    else sayVerified(out, folder, verified);
    return verified.problems.length === 0 ? exits.ok : exits.failed;
  },
});

function sayVerified(out: Output, folder: string, verified: Awaited<ReturnType<typeof verifyStorage>>): void {
  const { problems, records, segments, indexEntries, tornBytes, missingIndexes } = verified;
  facts(out, [
    ['folder', folder],
    ['records', `${records} in ${segments} segments, ${size(verified.bytes)}`],
    ['index entries', `${indexEntries}`],
    ['last position', `${verified.lastPosition}`],
    ['torn tail', tornBytes === 0 ? '' : `${size(tornBytes)}: the next start cuts it`],
    ['missing indexes', missingIndexes === 0 ? '' : `${missingIndexes}: the next start makes them`],
  ]);
  for (const { file, position, problem } of problems.slice(0, problemsShownMax)) {
    const at = position === undefined ? '' : ` at position ${position}`;
    out.line(out.paint('red', `  ${file}${at}: ${problem}`));
  }
  const more = problems.length - problemsShownMax;
  if (more > 0) out.line(`  and ${more} more: --json prints them`);
  out.line(problems.length === 0 ? out.paint('green', 'sound') : out.paint('red', 'damaged'));
}

export const backup = defineVerb({
  summary: 'Copy the log into one file, also while it is in use',
  words: '<file>',
  options: where,
  examples: ['apphub log backup /backups/apphub-monday.log'],
  about:
    'Takes every append that was whole when it began. Checks what it copies, and refuses to copy damage.',
  run: async ({ words: [file = ''], options, out, signal }) => {
    const made = await backupDirectory(existingLog(options.data), file, signal);
    if (out.json) out.document({ file, ...made });
    else out.line(`${file}: ${size(made.bytes)}, up to position ${made.lastPosition}`);
    return exits.ok;
  },
});

export const restore = defineVerb({
  summary: 'Make a log from a backup; positions stay the same',
  words: '<file>',
  options: where,
  examples: ['apphub log restore /backups/apphub-monday.log --data /var/lib/apphub-new'],
  about: 'The folder must not hold a log yet. Nothing appears in it unless the whole backup is sound.',
  run: async ({ words: [file = ''], options, out }) => {
    if (!existsSync(file)) throw new UsageError(`There is no file ${file}.`);
    const folder = logFolder(options.data);
    const restored = await restoreBackup(file, folder);
    if (out.json) out.document({ folder, ...restored });
    else out.line(`${folder}: ${restored.segments} segments, up to position ${restored.lastPosition}`);
    return exits.ok;
  },
});
