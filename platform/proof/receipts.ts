/**
 * Proofs with the signed head they lead to, for whoever just changed something. A head is asked for and waited for, at most a
 * while; all who wait are served by one look at the tables, so that many cost hardly more than one.
 */
import type { Knex } from 'knex';
import type { NearHeads } from './near-head.ts';
import { type TreeReader, type TreeState, treeReader } from './tree-reader.ts';
import { createTreeTables, headChannel, wantedChannel } from './tree-tables.ts';

const waitMsMax = 5_000;
const waitersMax = 10_000;
/** A wish for heads is good for longer than this, so it is not told again before. */
const askEveryMs = 1_000;
/** Should an announcement get lost with its connection. */
const lookEveryMs = 500;

/** Where an event is among the leaves, how that is proved, and the note that says so. */
export type Receipt = {
  readonly index: number;
  readonly position: bigint;
  readonly leafHash: Buffer;
  readonly size: number;
  readonly proof: readonly Buffer[];
  readonly checkpoint: string;
};

type SignedHead = {
  readonly origin: string;
  readonly size: number;
  readonly position: bigint;
  readonly note: string;
};

export type Receipts = {
  /** The receipt of the event at this position; undefined where no head reached it in time, or there is no such event. */
  of(position: bigint, waitMs?: number): Promise<Receipt | undefined>;
  /** The newest head there is. */
  head(): Promise<SignedHead | undefined>;
  close(): Promise<void>;
};

export type Listen = (channel: string, onHeard: () => void) => Promise<() => Promise<void>>;

type Waiter = { readonly position: bigint; readonly resolve: (receipt: Receipt | undefined) => void };

/** `near`: those of a tree that may be kept in this process. */
export async function openReceipts(sql: Knex, listen: Listen, near?: NearHeads): Promise<Receipts> {
  await createTreeTables(sql);
  const reader = treeReader(sql);
  const waiting = new Set<Waiter>();
  let askedMs = Number.NEGATIVE_INFINITY;
  let looking: Promise<void> | undefined;
  let again = false;

  const look = (): void => {
    if (waiting.size === 0) return;
    if (looking !== undefined) {
      again = true;
      return;
    }
    looking = serve(sql, reader, waiting)
      .catch(() => undefined)
      .finally(() => {
        looking = undefined;
        if (!again) return;
        again = false;
        look();
      });
  };
  /** Those the head nearby has reached are answered at once; whether anybody is left whom it cannot serve, and should. */
  const isServedNearby = (): boolean => {
    const head = near?.newest;
    if (head === undefined) return false;
    let isServed = true;
    for (const { position, resolve } of waiting) {
      if (position > head.position) continue;
      const receipt = head.prove(position);
      if (receipt === undefined) isServed = false;
      else resolve(receipt);
    }
    return isServed;
  };
  const lookIfFar = () => {
    if (!isServedNearby()) look();
  };
  if (near !== undefined) near.onShown = lookIfFar;
  const stop = await listen(headChannel, lookIfFar);
  const timer = setInterval(look, lookEveryMs).unref();

  return {
    head: () => newestHead(sql),
    async of(position, waitMs = waitMsMax) {
      if (waiting.size >= waitersMax) return undefined;
      const { promise, resolve } = Promise.withResolvers<Receipt | undefined>();
      const waiter = { position, resolve };
      waiting.add(waiter);
      const late = setTimeout(() => resolve(undefined), waitMs);
      near?.want();
      if (near?.newest === undefined && performance.now() - askedMs > askEveryMs) {
        askedMs = performance.now();
        sql.raw('select pg_notify(?, ?)', [wantedChannel, '']).catch(() => undefined);
      }
      lookIfFar();
      return promise.finally(() => {
        clearTimeout(late);
        waiting.delete(waiter);
      });
    },
    async close() {
      clearInterval(timer);
      for (const { resolve } of waiting) resolve(undefined);
      await stop();
    },
  };
}

async function newestHead(sql: Knex): Promise<SignedHead | undefined> {
  const row = await sql('audit_heads')
    .orderBy('at', 'desc')
    .first('origin', 'size', 'note', sql.raw('position::text as position'));
  if (row === undefined) return undefined;
  const { origin, size, note, position } = row as never as Omit<SignedHead, 'position'> & {
    position: string;
  };
  return { origin, size, note, position: BigInt(position) };
}

type Row = Omit<SignedHead, 'position'> & {
  readonly position: string;
  readonly generation: number;
  readonly treeSize: number;
  readonly treePosition: string | null;
};

/** Both by one look, as this is done for every few receipts. */
async function headAndTree(sql: Knex): Promise<{ head: SignedHead; state: TreeState } | undefined> {
  const { rows } = await sql.raw(
    `select h.origin, h.size, h.note, h.position::text as position, t.generation, t.size as "treeSize",
       t.position::text as "treePosition"
     from audit_heads h, audit_trees t where t.is_current order by h.at desc limit 1`,
  );
  const row: Row | undefined = rows[0];
  if (row === undefined) return undefined;
  const { generation, treeSize, treePosition, position, ...head } = row;
  return {
    head: { ...head, position: BigInt(position) },
    state: { generation, size: treeSize, position: treePosition === null ? null : BigInt(treePosition) },
  };
}

/** Answers those the newest head has reached. */
async function serve(sql: Knex, reader: TreeReader, waiting: ReadonlySet<Waiter>): Promise<void> {
  const found = await headAndTree(sql);
  if (found === undefined || found.state.size < found.head.size) return;
  const { head, state } = found;
  const ready = [...waiting].filter(({ position }) => position <= head.position);
  if (ready.length === 0) return;
  const indexes = await reader.indexesOf(
    state,
    ready.map(({ position }) => position),
  );
  const known = indexes.filter(index => index !== undefined);
  const receipts = await prove(reader, state, head, known);
  for (const [n, { position, resolve }] of ready.entries()) {
    const index = indexes[n];
    const proved = index === undefined ? undefined : receipts.get(index);
    resolve(proved && { ...proved, position });
  }
}

type Proved = Omit<Receipt, 'position'>;

async function prove(
  reader: TreeReader,
  state: TreeState,
  { size, note }: SignedHead,
  indexes: readonly number[],
): Promise<ReadonlyMap<number, Proved>> {
  const proofs = await reader.inclusion(state, indexes, size);
  return new Map(
    indexes.map((index, n) => {
      const { leafHash, proof } = proofs[n] as (typeof proofs)[number];
      return [index, { index, leafHash, size, proof, checkpoint: note }];
    }),
  );
}
