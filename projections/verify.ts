/**
 * Compares what was filled anew with what is read, while both go on: in one snapshot in which both hold the same part of the log.
 * What is the same may be shown from then on; what differs stays beside it, to be looked at.
 */
import type { Knex } from 'knex';
import { differing, digestsOf } from './digest.ts';
import { type Generation, schemaOf } from './generation.ts';
import type { ProjectorLog } from './projector.ts';

export type Pair = { readonly shown: Generation; readonly one: Generation };

type Deps = { readonly sql: Knex; readonly log: ProjectorLog; readonly signal: AbortSignal };

export type Verifying = {
  /** Whether this one is being compared. */
  has(one: Generation): boolean;
  /** Resolves when the snapshot is taken: from then on both may move. `onDone` is called when all of them are judged. */
  begin(pairs: readonly Pair[], onDone: () => void): Promise<void>;
  /** Resolves when nothing is being compared any more. */
  ended(): Promise<void>;
};

export function openVerifying({ sql, log, signal }: Deps): Verifying {
  const running = new Map<string, Promise<void>>();
  const nameOf = ({ projection, generation }: Generation) => schemaOf(projection, generation);

  const judge = async (tx: Knex, { shown, one }: Pair): Promise<readonly string[]> => {
    const before = await digestsOf(tx, shown.projection, shown.generation);
    return differing(before, await digestsOf(tx, one.projection, one.generation));
  };

  const settle = async ({ one }: Pair, wrong: readonly string[]): Promise<void> => {
    const { name } = one.projection;
    const { generation } = one;
    const place = sql('projection_generations').where({ name, generation, role: 'next' });
    if (wrong.length === 0) {
      await place.update({ is_checked: true });
      return;
    }
    await place.update({ problem: `Its rows differ from the live ones in ${wrong.join(', ')}.` });
    log.error({ projection: name, generation, tables: wrong }, 'a rebuild gives other rows');
  };

  return {
    has: one => running.has(nameOf(one)),
    async begin(pairs, onDone) {
      const taken = Promise.withResolvers<void>();
      const work = sql
        .transaction(
          async tx => {
            await tx.raw('select txid_current_snapshot()');
            taken.resolve();
            for (const pair of pairs) {
              if (signal.aborted) return;
              await settle(pair, await judge(tx, pair));
            }
          },
          { isolationLevel: 'repeatable read', readOnly: true },
        )
        .catch(error => {
          // It may have been dropped meanwhile. What is still there is compared again.
          if (!signal.aborted) log.info({ err: error }, 'a comparison of tables did not come to an end');
        })
        .finally(() => {
          taken.resolve();
          for (const { one } of pairs) running.delete(nameOf(one));
          onDone();
        });
      for (const { one } of pairs) running.set(nameOf(one), work);
      await taken.promise;
    },
    async ended() {
      await Promise.all(running.values());
    },
  };
}
