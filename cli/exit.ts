/** How a command ends: each way has a number that scripts can rely on and an error that leads to it. */

export const exits = {
  ok: 0,
  failed: 1,
  usage: 2,
  unreachable: 3,
  auth: 4,
  notFound: 5,
  conflict: 6,
  interrupted: 130,
} as const;

/** The command line cannot be understood. `help` is the command whose --help says more. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** No server answers, or it is not ready to. */
export class Unreachable extends Error {
  override readonly name = 'Unreachable';
}

/** The document of an error, RFC 9457, as AppHub sends it. */
export type ProblemDocument = {
  readonly title: string;
  readonly status: number;
  readonly code: string;
  readonly detail?: string;
  readonly errors?: readonly { readonly field: string; readonly message: string }[];
  readonly [member: string]: unknown;
};

/** The server says no. */
export class Answered extends Error {
  override readonly name = 'Answered';
  readonly problem: ProblemDocument;
  constructor(problem: ProblemDocument) {
    super(problem.title);
    this.problem = problem;
  }
}

export function exitOf(error: unknown): number {
  if (error instanceof UsageError) return exits.usage;
  if (error instanceof Unreachable) return exits.unreachable;
  if (!(error instanceof Answered)) return exits.failed;
  switch (error.problem.status) {
    case 400:
    case 422:
      return exits.usage;
    case 401:
    case 403:
      return exits.auth;
    case 404:
      return exits.notFound;
    case 409:
      return exits.conflict;
    case 502:
    case 503:
    case 504:
      return exits.unreachable;
    default:
      return exits.failed;
  }
}

const standard = new Set([
  'type',
  'title',
  'status',
  'code',
  'detail',
  'errors',
  'instance',
  'data',
  'appId',
  'scope',
]);

/** One sentence, then a line for each field that is wrong and each fact the server added. */
export function linesOf(error: unknown): string[] {
  if (!(error instanceof Answered)) return [error instanceof Error ? error.message : String(error)];
  const { title, code, detail, errors = [], ...rest } = error.problem;
  const facts = Object.entries(rest).filter(([name, value]) => !standard.has(name) && value !== null);
  return [
    `${title}${detail === undefined || detail === title ? '' : `: ${detail}`} (${code})`,
    ...errors.map(({ field, message }) => `  ${field === '' ? 'request' : field}: ${message}`),
    ...facts.map(
      ([name, value]) => `  ${name}: ${typeof value === 'string' ? value : JSON.stringify(value)}`,
    ),
    ...(error.problem.status === 401
      ? ['  Set APPHUB_TOKEN, or run this where the server keeps its data.']
      : []),
  ];
}
