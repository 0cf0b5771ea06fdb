/**
 * Checkpoints in files: a folder with a file a month, in which they follow each other, each with an empty line behind it. A
 * file only grows; what a crash has left half-written at its end is no checkpoint, and is cut off before the next one is
 * written.
 *
 *   checkpoints/2026-01
 *   checkpoints/2026-02
 */
import {
  closeSync,
  existsSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { type Checkpoint, parseCheckpoint } from './checkpoint.ts';
import { NoteError } from './note.ts';

const monthChars = 'yyyy-mm'.length;
const unknownMonth = '0000-00';
const tailBytesMax = 64 * 1_024;

const monthOf = ({ time }: Checkpoint) =>
  /^\d{4}-\d\d/.test(time ?? '') ? (time ?? '').slice(0, monthChars) : unknownMonth;

/** Durable when it returns. */
export function appendCheckpoints(folder: string, checkpoints: readonly Checkpoint[]): void {
  for (const [month, some] of Map.groupBy(checkpoints, monthOf)) {
    mkdirSync(path.join(folder, 'checkpoints'), { recursive: true });
    const fd = openSync(path.join(folder, 'checkpoints', month), 'a+', 0o644);
    try {
      const { size } = fstatSync(fd);
      const sound = endsWhole(fd, size) ? size : soundPart(readFileSync(fd, 'utf8')).bytes;
      if (sound < size) ftruncateSync(fd, sound);
      writeSync(fd, some.map(({ note }) => `${note}\n`).join(''));
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  }
}

/** Whether the last thing in the file is a signature and an empty line. */
function endsWhole(fd: number, size: number): boolean {
  if (size === 0) return true;
  const tail = Buffer.alloc(Math.min(size, tailBytesMax));
  readSync(fd, tail, 0, tail.length, size - tail.length);
  return /(?:^|\n)— [^\n]+\n\n$/.test(tail.toString('utf8'));
}

/** All that are whole, oldest month first; from this month on where one is given. */
export function* readCheckpoints(folder: string, fromMonth = ''): Iterable<readonly Checkpoint[]> {
  const files = path.join(folder, 'checkpoints');
  if (!existsSync(files)) return;
  const months = readdirSync(files).filter(month => /^\d{4}-\d\d$/.test(month) && month >= fromMonth);
  for (const month of months.sort()) yield checkpointsIn(readFileSync(path.join(files, month), 'utf8'));
}

/** Checkpoints one after the other, or a single one. Text that is none is passed over. */
export function checkpointsIn(text: string): readonly Checkpoint[] {
  return soundPart(text.endsWith('\n\n') ? text : `${text}\n`).notes.flatMap(note => {
    try {
      return [parseCheckpoint(note)];
    } catch (error) {
      if (error instanceof NoteError) return [];
      throw error;
    }
  });
}

/** A note is a text, an empty line, signatures, and here one empty line more. */
function soundPart(text: string): { notes: readonly string[]; bytes: number } {
  const notes: string[] = [];
  let from = 0;
  for (;;) {
    const middle = text.indexOf('\n\n', from);
    const end = middle < 0 ? -1 : text.indexOf('\n\n', middle + 2);
    if (end < 0) return { notes, bytes: Buffer.byteLength(text.slice(0, from)) };
    notes.push(text.slice(from, end + 1));
    from = end + 2;
  }
}
