/** Where time and new ids come from; a test gives its own. */
import { uuidv7 } from 'uuidv7';

export type Clock = {
  /** RFC 3339 in UTC with milliseconds. */
  now(): string;
  /** A UUID version 7 (RFC 9562): ordered by time. */
  newId(): string;
};

export const systemClock: Clock = {
  now: () => new Date().toISOString(),
  newId: () => uuidv7(),
};
