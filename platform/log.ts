/** Structured JSON lines on standard error, for people piped through a pretty printer and for machines as they are. */
import { pino } from 'pino';

export type Log = ReturnType<typeof openLogger>;

const levelDefault = 'info';

/** Secrets never reach a line: what could hold one is masked by its place. */
export function openLogger(options: { level?: string } = {}) {
  return pino(
    {
      level: options.level ?? levelDefault,
      redact: {
        paths: ['req.headers.authorization', 'req.headers.cookie', '*.token', '*.secret'],
        censor: '[masked]',
      },
      timestamp: pino.stdTimeFunctions.isoTime,
    },
    pino.destination({ fd: 2, sync: false }),
  );
}
