/**
 * Many operations become few: what a batch of events does to one row is folded here, in memory, so that the database sees
 * each row once. The outcome is the same as applying the operations one by one, however the log is cut into batches.
 */
import type { Json } from '../domain/events.ts';
import type { Op, Projection, Row } from './projection.ts';

/** What a batch does to one row. Applied in this order: reset, put, patch, add. */
type Change = { reset: boolean; put?: Row; patch?: Row; add?: Record<string, number> };

/** What a batch does to one table, ready for SQL. Applied in this order. */
export type Step = {
  readonly table: string;
  readonly deleteWhere: readonly Row[];
  readonly deleteKeys: readonly Row[];
  readonly puts: readonly Row[];
  readonly patches: readonly { readonly key: Row; readonly set: Row }[];
  readonly adds: readonly { readonly key: Row; readonly by: Row }[];
};

type Pending = { deleteWhere: Row[]; changes: Map<string, Map<string, { key: Row; change: Change }>> };

/** The steps that do what `ops` do, in order. Costs O(ops); a `dropAll` looks only at rows with its first key column. */
export function mergeOps(tables: Projection['tables'], ops: Iterable<Op>): readonly Step[] {
  const steps: Step[] = [];
  const pending = new Map<string, Pending>();
  const pendingOf = (table: string): Pending => {
    const found = pending.get(table) ?? { deleteWhere: [], changes: new Map() };
    pending.set(table, found);
    return found;
  };
  const flush = (table: string) => {
    const work = pending.get(table);
    if (work !== undefined) steps.push(stepOf(table, work));
    pending.delete(table);
  };

  for (const op of ops) {
    const keyColumns = tables[op.table];
    if (keyColumns === undefined) throw new Error(`no projection table ${op.table}`);
    if (op.op === 'dropAll') {
      forget(pendingOf(op.table), op.where, keyColumns);
      continue;
    }
    const key = op.op === 'put' ? keyOf(op.row, keyColumns) : op.key;
    if (!fits(changeOf(pendingOf(op.table), key, keyColumns), op)) flush(op.table);
    fold(changeOf(pendingOf(op.table), key, keyColumns), op);
  }
  for (const table of [...pending.keys()]) flush(table);
  return steps;
}

function keyOf(row: Row, columns: readonly string[]): Row {
  return Object.fromEntries(columns.map(column => [column, row[column] ?? null]));
}

/** JSON, or as good as: a text that needs nothing to be escaped is quoted as it is. No two values have the same name. */
function nameOf(value: Json | undefined): string {
  if (typeof value === 'string' && !/["\\]/.test(value)) return `"${value}"`;
  return JSON.stringify(value ?? null);
}

function changeOf(work: Pending, key: Row, columns: readonly string[]): Change {
  const first = nameOf(key[columns[0] ?? '']);
  const group = work.changes.get(first) ?? new Map<string, { key: Row; change: Change }>();
  work.changes.set(first, group);
  const name = columns.length === 1 ? first : columns.map(column => nameOf(key[column])).join();
  const entry = group.get(name) ?? { key, change: { reset: false } };
  group.set(name, entry);
  return entry.change;
}

/** Whether the operation can be folded into what is pending for its row without changing the outcome. */
function fits(change: Change, op: Exclude<Op, { op: 'dropAll' }>): boolean {
  switch (op.op) {
    case 'put':
      return change.patch === undefined && change.add === undefined;
    case 'patch':
      // The sum may make the row that the patch then finds.
      return change.add === undefined;
    case 'add':
      return (
        change.patch === undefined || Object.keys(op.by).every(column => !(column in (change.patch ?? {})))
      );
    case 'drop':
      return true;
  }
}

function fold(change: Change, op: Exclude<Op, { op: 'dropAll' }>): void {
  switch (op.op) {
    case 'put':
      change.put = { ...change.put, ...op.row };
      return;
    case 'patch':
      if (change.put !== undefined) change.put = { ...change.put, ...op.set };
      // After a drop there is no row to patch.
      else if (!change.reset) change.patch = { ...change.patch, ...op.set };
      return;
    case 'add':
      foldAdd(change, op.key, op.by);
      return;
    case 'drop':
      delete change.put;
      delete change.patch;
      delete change.add;
      change.reset = true;
      return;
  }
}

function foldAdd(change: Change, key: Row, by: { readonly [column: string]: number }): void {
  const { put, add } = change;
  if (put === undefined && change.reset) {
    change.put = { ...key, ...by };
    return;
  }
  if (
    put !== undefined &&
    add === undefined &&
    Object.keys(by).every(column => typeof put[column] === 'number')
  ) {
    const sums = Object.entries(by).map(([column, amount]) => [column, Number(put[column]) + amount]);
    change.put = { ...put, ...(Object.fromEntries(sums) as Row) };
    return;
  }
  const sum: Record<string, number> = { ...add };
  for (const [column, amount] of Object.entries(by)) sum[column] = (sum[column] ?? 0) + amount;
  change.add = sum;
}

/** Rows that are dropped as a set: what was pending for them is void. */
function forget(work: Pending, where: Row, columns: readonly string[]): void {
  const bound = columns.filter(column => column in where);
  if (bound.length !== Object.keys(where).length || bound.some((column, at) => columns[at] !== column)) {
    throw new Error(
      `dropAll wants the first columns of the key (${columns.join(', ')}), not ${Object.keys(where)}`,
    );
  }
  work.deleteWhere.push(where);
  const group = work.changes.get(nameOf(where[columns[0] ?? '']));
  for (const [name, { key }] of group ?? []) {
    if (bound.every(column => sameJson(key[column], where[column]))) group?.delete(name);
  }
}

const sameJson = (a: Json | undefined, b: Json | undefined) => JSON.stringify(a) === JSON.stringify(b);

function stepOf(table: string, { deleteWhere, changes }: Pending): Step {
  const entries = [...changes.values()].flatMap(group => [...group.values()]);
  return {
    table,
    deleteWhere,
    deleteKeys: entries.filter(({ change }) => change.reset).map(({ key }) => key),
    puts: entries.flatMap(({ change }) => (change.put === undefined ? [] : [change.put])),
    patches: entries.flatMap(({ key, change }) =>
      change.patch === undefined ? [] : [{ key, set: change.patch }],
    ),
    adds: entries.flatMap(({ key, change }) => (change.add === undefined ? [] : [{ key, by: change.add }])),
  };
}
