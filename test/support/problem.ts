/** What holds for every answer that says no. */
import assert from 'node:assert/strict';
import { refusals } from '../../domain/kernel/refusal.ts';
import { edgeCodes, refusalCodes } from '../../platform/problem-codes.ts';
import type { Answer } from './api.ts';

type Errors = readonly { field: string; message: string }[];

/** Fails unless the answer is a problem document with this status and code. Answers its field errors. */
export function assertProblem(answer: Answer, status: number, code: string): Errors {
  assert.equal(answer.status, status, answer.text);
  assert.match(answer.headers.get('content-type') ?? '', /^application\/problem\+json/);
  const { body } = answer;
  assert.equal(body.status, status, answer.text);
  assert.equal(body.code, code, answer.text);
  assert.equal(body.type, `urn:apphub:problem:${code}`);
  assert.ok(typeof body.title === 'string' && body.title !== '', answer.text);
  assert.match(body.instance, /^urn:apphub:request:[0-9a-f-]{36}$/);
  assert.ok(code in refusals || code in edgeCodes, `${code} is not on the page of errors`);
  if (code in refusalCodes) assert.equal(refusalCodes[code as keyof typeof refusalCodes].status, status);
  const errors = (body.errors ?? []) as Errors;
  if (code === 'invalid') assert.ok(errors.length > 0, `no field is named: ${answer.text}`);
  for (const { field, message } of errors) {
    assert.ok(field !== '' && message !== '', `an error without words: ${answer.text}`);
  }
  return errors;
}

/** The same for a request that is refused for what is in one field alone. */
export function assertInvalid(answer: Answer, field: string): string {
  const errors = assertProblem(answer, 400, 'invalid');
  assert.deepEqual([...new Set(errors.map(error => error.field))], [field], answer.text);
  return errors.map(({ message }) => message).join('; ');
}
