/** What a schema found wrong with a request, in words for its sender. */
import type { FieldError } from './problem.ts';

const errorsMax = 20;

/** One finding of Ajv. */
export type Violation = {
  readonly instancePath: string;
  readonly message?: string | undefined;
  readonly keyword: string;
  readonly params: Readonly<Record<string, unknown>>;
};

/**
 * At most twenty errors, one a field and thing that is wrong. A field that may be one of several things is found wrong once for
 * each of them; that is said as one sentence.
 */
export function fieldErrorsOf(violations: readonly Violation[], whole: string): readonly FieldError[] {
  const byField = Map.groupBy(violations, violation => fieldOf(violation) || whole);
  return [...byField]
    .flatMap(([field, found]) => sentencesOf(found).map(message => ({ field, message })))
    .slice(0, errorsMax);
}

function fieldOf({ instancePath, keyword, params }: Violation): string {
  const named =
    keyword === 'required'
      ? String(params.missingProperty)
      : keyword === 'additionalProperties'
        ? String(params.additionalProperty)
        : undefined;
  const path = instancePath.slice(1).split('/').map(unescaped);
  return [...path, named].filter(part => part !== undefined && part !== '').join('.');
}

/** RFC 6901 section 3. */
const unescaped = (part: string) => part.replaceAll('~1', '/').replaceAll('~0', '~');

function sentencesOf(found: readonly Violation[]): readonly string[] {
  const constants = found.flatMap(({ keyword, params }) =>
    keyword === 'const' ? [params.allowedValue] : [],
  );
  const rest = found.filter(({ keyword }) => keyword !== 'const' && keyword !== 'anyOf');
  const isEither = rest.length < found.length;
  // Of a value that may be null, what else is wrong with it says more.
  const isNullNoise = ({ keyword, params }: Violation) =>
    isEither && keyword === 'type' && params.type === 'null';
  const messages = new Set(rest.filter(violation => !isNullNoise(violation)).map(sentenceOf));
  if (constants.length > 0)
    messages.add(`must be one of ${constants.map(value => JSON.stringify(value)).join(', ')}`);
  return messages.size > 0 ? [...messages] : ['is not valid'];
}

function sentenceOf({ keyword, message, params }: Violation): string {
  if (keyword === 'required') return 'is required';
  if (keyword === 'additionalProperties') return 'is not a known field';
  if (keyword === 'enum')
    return `must be one of ${(params.allowedValues as unknown[]).map(value => JSON.stringify(value)).join(', ')}`;
  return message ?? 'is not valid';
}

/** Iterative, since a body may be nested as deep as it is long. The first text that JSON can hold and a table cannot. */
export function unusableText(body: unknown): FieldError | undefined {
  const left: { value: unknown; field: string }[] = [{ value: body, field: '' }];
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    const { value, field } = next;
    if (typeof value === 'string') {
      if (!value.includes('\0') && value.isWellFormed()) continue;
      return { field: field || 'body', message: 'must be text without NUL and halves of surrogate pairs' };
    }
    if (typeof value !== 'object' || value === null) continue;
    for (const [key, inner] of Object.entries(value)) {
      left.push({ value: inner, field: field === '' ? key : `${field}.${key}` });
    }
  }
  return undefined;
}
