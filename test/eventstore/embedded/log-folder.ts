/** Folders of logs for tests: made, copied, damaged byte by byte, and erased at the end of the test. */
import * as fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { TestContext } from 'node:test';

export function logFolder(t: Pick<TestContext, 'after'>): string {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'apphub-test-log-'));
  t.after(() => fs.rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export function copyOf(t: Pick<TestContext, 'after'>, folder: string): string {
  const copy = logFolder(t);
  fs.cpSync(folder, copy, { recursive: true });
  return copy;
}

/** Full paths of the log's files of a kind, oldest first. */
export function filesOf(folder: string, kind: 'segment' | 'index'): string[] {
  const names = fs.readdirSync(folder).filter(name => name.endsWith(`.${kind}`));
  return names.sort().map(name => path.join(folder, name));
}

export function flipByte(file: string, at: number, bits = 0x01): void {
  const bytes = fs.readFileSync(file);
  bytes[at] = (bytes[at] ?? 0) ^ bits;
  fs.writeFileSync(file, bytes);
}

/** A log of the storage that only remembers what was said. */
export function rememberingLog() {
  const lines: { level: 'info' | 'warn' | 'error'; message: string; fields: Record<string, unknown> }[] = [];
  const say = (level: 'info' | 'warn' | 'error') => (fields: object, message: string) => {
    lines.push({ level, message, fields: fields as Record<string, unknown> });
  };
  return { lines, info: say('info'), warn: say('warn'), error: say('error') };
}
