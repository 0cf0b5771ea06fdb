/**
 * Whether events that are applied late do to a row what a later event of another stream has done to it already. Two operations
 * that give the same row in either order do not matter; wherever the order does, applying late would give other rows than the
 * log does.
 */
import type { Op, Projection, Row } from './projection.ts';

type Tables = Projection['tables'];
type Touch = { readonly position: bigint; readonly op: Op };

/** What the late events do, by table and row, and what they do to whole sets of rows. */
export type Touched = {
  readonly rows: ReadonlyMap<string, readonly Touch[]>;
  readonly sets: readonly Touch[];
};

export function touchedBy(
  tables: Tables,
  late: readonly { readonly event: { readonly position: bigint }; readonly ops: readonly Op[] }[],
): Touched {
  const rows = new Map<string, Touch[]>();
  const sets: Touch[] = [];
  for (const { event, ops } of late) {
    for (const op of ops) {
      const touch = { position: event.position, op };
      if (op.op === 'dropAll') sets.push(touch);
      else {
        const name = nameOf(tables, op);
        const touches = rows.get(name) ?? [];
        touches.push(touch);
        rows.set(name, touches);
      }
    }
  }
  return { rows, sets };
}

/** Whether one of these operations, which were applied at `position`, and an earlier one that is late would change places. */
export function overlaps(tables: Tables, touched: Touched, position: bigint, ops: readonly Op[]): boolean {
  return ops.some(op => {
    const isSet = op.op === 'dropAll';
    const inSets = touched.sets.some(late => late.position < position && meet(tables, late.op, op));
    if (inSets) return true;
    if (!isSet) {
      const touches = touched.rows.get(nameOf(tables, op)) ?? [];
      return touches.some(late => late.position < position && !commute(late.op, op));
    }
    for (const touches of touched.rows.values()) {
      if (touches.some(late => late.position < position && meet(tables, op, late.op))) return true;
    }
    return false;
  });
}

function keyOf(tables: Tables, op: Exclude<Op, { op: 'dropAll' }>): readonly string[] {
  const row: Row = op.op === 'put' ? op.row : op.key;
  return (tables[op.table] ?? []).map(column => JSON.stringify(row[column] ?? null));
}

const nameOf = (tables: Tables, op: Exclude<Op, { op: 'dropAll' }>) =>
  `${op.table} ${keyOf(tables, op).join()}`;

/** Whether a set of rows that goes holds a row, or rows, of the other. Two sets that go may go in either order. */
function meet(tables: Tables, set: Op, other: Op): boolean {
  if (set.op !== 'dropAll' || other.op === 'dropAll' || set.table !== other.table) return false;
  const columns = tables[set.table] ?? [];
  const key = keyOf(tables, other);
  return columns.every(
    (column, at) => !(column in set.where) || JSON.stringify(set.where[column]) === key[at],
  );
}

/** Of the same row. */
function commute(one: Op, other: Op): boolean {
  if (one.op === 'drop' && other.op === 'drop') return true;
  if (one.op === 'add' && other.op === 'add') return true;
  if (one.op === 'put' && other.op === 'put') return agree(one.row, other.row);
  if (one.op === 'patch' && other.op === 'patch') return agree(one.set, other.set);
  if (one.op === 'put' && other.op === 'add') return areApart(one.row, other.by);
  if (one.op === 'add' && other.op === 'put') return areApart(other.row, one.by);
  return false;
}

const agree = (one: Row, other: Row) =>
  Object.entries(one).every(
    ([column, value]) => !(column in other) || JSON.stringify(other[column]) === JSON.stringify(value),
  );
const areApart = (one: Row, other: Row) => Object.keys(other).every(column => !(column in one));
