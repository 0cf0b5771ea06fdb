/** Reads JSON and YAML that strangers wrote: bounded in bytes, aliases and depth, and never throwing. */
import { parseDocument } from 'yaml';

export const structuredBytesMax = 64 * 1024;
const aliasesMax = 50;
const depthMax = 16;

export type Structured = { ok: true; value: unknown } | { ok: false; reason: string };

/** The value of a JSON (`.json`) or YAML text. Custom tags give plain values; more than `depthMax` levels are refused. */
export function parseStructured(file: string, text: string): Structured {
  try {
    const value = file.endsWith('.json') ? JSON.parse(stripMark(text)) : parseYaml(text);
    return isDeeper(value, depthMax) ? { ok: false, reason: 'it is nested too deeply' } : { ok: true, value };
  } catch (error) {
    const reason = error instanceof Error ? (error.message.split('\n')[0] ?? '') : '';
    return { ok: false, reason: reason.slice(0, 200) };
  }
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function stripMark(text: string): string {
  return text.startsWith('\ufeff') ? text.slice(1) : text;
}

function parseYaml(text: string): unknown {
  const document = parseDocument(text, { schema: 'core', logLevel: 'silent', strict: false });
  const [error] = document.errors;
  if (error !== undefined) throw error;
  return document.toJS({ maxAliasCount: aliasesMax });
}

function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return levels === 0 || Object.values(value).some(child => isDeeper(child, levels - 1));
}
