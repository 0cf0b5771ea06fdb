/** An answer that says no: RFC 9457 problem details with a code that stays the same for ever. */

export type FieldError = { readonly field: string; readonly message: string };

/** What an error tells its caller. `extra` is shown beside the standard members, which it cannot replace. */
export class Problem extends Error {
  readonly status: number;
  readonly code: string;
  readonly detail: string | undefined;
  readonly errors: readonly FieldError[] | undefined;
  readonly extra: Readonly<Record<string, unknown>>;
  constructor(
    status: number,
    code: string,
    title: string,
    more: { detail?: string; errors?: readonly FieldError[]; extra?: Readonly<Record<string, unknown>> } = {},
  ) {
    super(title);
    this.name = 'Problem';
    this.status = status;
    this.code = code;
    this.detail = more.detail;
    this.errors = more.errors;
    this.extra = more.extra ?? {};
  }

  /** The document as it is sent, with media type application/problem+json. */
  toDocument(): Record<string, unknown> {
    return {
      ...this.extra,
      type: `urn:apphub:problem:${this.code}`,
      title: this.message,
      status: this.status,
      code: this.code,
      ...(this.detail === undefined ? {} : { detail: this.detail }),
      ...(this.errors === undefined ? {} : { errors: this.errors }),
    };
  }
}

/** A request that cannot be understood; each error names the field and says what would be right. */
export function invalid(errors: readonly FieldError[]): Problem {
  return new Problem(400, 'invalid', 'The request is not valid', { errors });
}
