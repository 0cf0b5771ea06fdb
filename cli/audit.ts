/** `apphub audit`: who did what, and who was refused; and what proves it. */
import { setTimeout as pause } from 'node:timers/promises';
import type { AuditEntry, Many } from './api.ts';
import {
  checkpoint,
  exportLog,
  keys,
  rebuild,
  receipt,
  restart,
  rotateKey,
  witnesses,
} from './audit-proof.ts';
import { verify } from './audit-verify.ts';
import type { Client, Query } from './client.ts';
import { exits, UsageError } from './exit.ts';
import { plain } from './format.ts';
import type { Output } from './output.ts';
import { defineVerb, type Verb, wholeNumber } from './verb.ts';

const rowsMax = 1_000;
const limitDefault = '50';
const followEveryMs = 1_000;
/** Refusals that are many are counted for a minute and told at its end, so what is new may be a while older than the newest. */
const lateMsMax = 120_000;

const list = defineVerb({
  summary: 'Show who did what and who was refused, newest first',
  looksBack: true,
  words: '',
  options: {
    actor: { type: 'string', value: 'who', help: 'Only by this one; with * at the end, whoever begins so' },
    action: { type: 'string', value: 'what', help: 'Only this, such as LaunchRequested or "Build*"' },
    target: { type: 'string', value: 'thing', help: 'Only on this, such as apps/shop or "launches/*"' },
    outcome: { type: 'string', value: 'outcome', help: 'succeeded, refused, or the code of a refusal' },
    from: { type: 'string', value: 'time', help: 'Not before this time (RFC 3339)' },
    to: { type: 'string', value: 'time', help: 'Before this time' },
    follow: { type: 'boolean', short: 'f', help: 'Go on with what comes, oldest first' },
    limit: {
      type: 'string',
      short: 'n',
      default: limitDefault,
      value: 'count',
      help: 'At most so many; default 50',
    },
  },
  examples: [
    'apphub audit --outcome refused --from 2026-01-31T00:00:00Z',
    'apphub audit --target apps/shop --json',
    'apphub audit --outcome refused --follow',
  ],
  run: async ({ options, client, out, signal }) => {
    const { actor, action, target, outcome, from, to, follow, limit } = options;
    const count = wholeNumber('limit', limit ?? limitDefault, 1, rowsMax);
    const query = { actor, action, target, outcome, from, to };
    if (follow === true && to !== undefined) throw new UsageError('--to does not go with --follow');
    if (follow === true) return followAudit(client, out, { query, count }, signal);
    const answer = await client.list<AuditEntry>('/audit', query, count);
    if (out.json) out.document(answer);
    else auditRows(out, answer);
    return exits.ok;
  },
});

export const verbs: Readonly<Record<string, Verb>> = {
  list,
  export: exportLog,
  verify,
  checkpoint,
  receipt,
  keys,
  'rotate-key': rotateKey,
  witnesses,
  rebuild,
  restart,
};

const heads = [
  { title: 'AT' },
  { title: 'ACTOR', shrinks: true },
  { title: 'ACTION', shrinks: true },
  { title: 'TARGET', shrinks: true },
  { title: 'OUTCOME' },
  { title: 'FROM' },
];

function auditRows(out: Output, { data, meta }: Many<AuditEntry>): void {
  if (data.length === 0) {
    out.note('Nothing like that is recorded.');
    return;
  }
  out.table(heads, data.map(cellsOf), (cell, column) =>
    column === 4 ? out.paint(cell.trimEnd() === 'succeeded' ? 'green' : 'red', cell) : cell,
  );
  if (meta?.nextCursor != null) out.note('There is more: --limit, or --to the last time shown.');
}

const cellsOf = (entry: AuditEntry): string[] => [
  entry.at.replace(/\.\d+Z$/, 'Z'),
  entry.actor,
  entry.action,
  entry.target ?? '-',
  entry.count > 1 ? `${entry.outcome} ×${entry.count}` : entry.outcome,
  entry.ip || '-',
];

type Followed = { readonly query: Query; readonly count: number };

/** Looks again and again, so it needs no other scope than the list itself. */
async function followAudit(
  client: Client,
  out: Output,
  { query, count }: Followed,
  signal: AbortSignal,
): Promise<number> {
  const seen = new Map<string, string>();
  const show = async (entries: readonly AuditEntry[]) => {
    for (const entry of entries.toReversed()) {
      if (seen.has(entry.position)) continue;
      seen.set(entry.position, entry.at);
      const line = out.json ? JSON.stringify(entry) : cellsOf(entry).map(plain).join('  ');
      await out.write(`${line}\n`);
    }
  };
  const first = (await client.list<AuditEntry>('/audit', query, count)).data;
  // What is older than the first page is not new, however late it is looked at.
  const oldest = first.length === count ? first.at(-1)?.at : undefined;
  await show(first);
  for (;;) {
    await pause(followEveryMs, undefined, { signal });
    const from = latest([...seen.values()], oldest) ?? query.from;
    await show((await client.list<AuditEntry>('/audit', { ...query, from }, rowsMax)).data);
    for (const [position, at] of seen) if (typeof from === 'string' && at < from) seen.delete(position);
  }
}

/** Where to look from: a while before the newest, but not before `oldest`. */
function latest(times: readonly string[], oldest: string | undefined): string | undefined {
  const newest = times.toSorted().at(-1);
  if (newest === undefined) return undefined;
  const from = new Date(Date.parse(newest) - lateMsMax).toISOString();
  return oldest !== undefined && oldest > from ? oldest : from;
}
