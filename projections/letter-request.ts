/** What is asked of dead letters: to be tried again, to be skipped, and to be lived with where a generation has more of them. */
import type { Knex } from 'knex';
import type { EventOf, Recorded } from '../domain/events.ts';
import { unreachable } from '../domain/kernel/decider.ts';
import type { Generation } from './generation.ts';

export type LetterRequest = EventOf<
  'DeadLetterReplayRequested' | 'DeadLetterSkipped' | 'ProjectionShowRequested'
>;

const requestTypes: readonly string[] = [
  'DeadLetterReplayRequested',
  'DeadLetterSkipped',
  'ProjectionShowRequested',
] satisfies LetterRequest['type'][];

export const isLetterRequest = ({ type, data }: Recorded, name: string): boolean =>
  requestTypes.includes(type) && 'projection' in data && data.projection === name;

/** In the transaction that says the request has been read. Each generation reads it for itself, a rebuilt one too. */
export async function answerLetters(
  tx: Knex,
  { projection: { name }, generation }: Generation,
  request: Recorded<LetterRequest>,
): Promise<void> {
  const letters = tx('projection_letters').where({ projection: name, generation });
  switch (request.type) {
    case 'DeadLetterReplayRequested': {
      const { position } = request.data;
      const meant = position === null ? letters : letters.where({ position });
      await meant.update({ next_try_at: tx.fn.now() });
      return;
    }
    case 'DeadLetterSkipped': {
      const { position, reason } = request.data;
      await tx('projection_skips').insert({ projection: name, position }).onConflict().ignore();
      await letters.where({ position }).update({ skip_reason: reason, next_try_at: tx.fn.now() });
      return;
    }
    case 'ProjectionShowRequested':
      // One that was asked for before this generation was begun meant another.
      await tx('projection_generations')
        .where({ name, generation })
        .where('started_at', '<', request.created)
        .update({ letters_accepted: true });
      return;
    default:
      return unreachable(request);
  }
}
