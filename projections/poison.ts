/** Whether a failure is the event's own, so that it fails again whenever it is applied, or the weather's, which passes. */

/**
 * Of PostgreSQL (its appendix A): data that does not fit (21, 22), constraints (23, 44), limits of a program such as a document
 * that is too long for an index (54), columns and types that a projection names and its tables do not have, and what a trigger
 * raises. Everything else is weather: connections, locks, deadlocks, a full disk, an operator, a table that somebody dropped.
 */
const ofEvents = /^(?:(?:21|22|23|44|54)[0-9A-Z]{3}|42703|42804|42846|42883|P0001|P0004)$/;

const errorCharsMax = 1_000;

/** A handler that throws, or operations that no table has: nothing but the event and the code had a part in it. */
export class Poisoned extends Error {
  override readonly name = 'Poisoned';
}

export function isOfEvent(error: unknown): boolean {
  if (error instanceof Poisoned) return true;
  return error instanceof Error && 'code' in error && ofEvents.test(String(error.code));
}

/** What went wrong, in a line or two: PostgreSQL's own words without the statement, which says nothing about the event. */
export function wordsOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error).slice(0, errorCharsMax);
  if (error instanceof Poisoned) return wordsOf(error.cause);
  const { code, detail } = error as { code?: unknown; detail?: unknown };
  if (typeof code !== 'string') return `${error.name}: ${error.message}`.slice(0, errorCharsMax);
  const at = error.message.indexOf(' - ');
  const said = at < 0 ? error.message : error.message.slice(at + 3);
  const more = typeof detail === 'string' ? ` ${detail}` : '';
  return `${said}${more} (${code})`.slice(0, errorCharsMax);
}
