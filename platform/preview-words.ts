/** What visitors are told when they do not get what they came for. The codes are those of platform/problem-codes.ts. */
import { Refusal } from '../domain/kernel/refusal.ts';
import type { Refused, Verdict } from './preview-access.ts';
import type { Page } from './preview-page.ts';
import type { Coming, Target } from './preview-target.ts';

const nobody: Page = {
  status: 404,
  code: 'not-found',
  title: 'There is nothing here',
  message: 'No launch has this address.',
};
const cannotSay: Page = {
  status: 503,
  code: 'unavailable',
  title: 'One moment',
  message: 'The platform cannot look it up right now. It is looked at again in a moment.',
  retrySeconds: 2,
};
const notAnswering: Page = {
  status: 502,
  code: 'app-not-answering',
  title: 'The app does not answer',
  message: 'It is running, but nothing that can be understood comes from its port.',
  retrySeconds: 5,
};
const tooSlow: Page = {
  status: 504,
  code: 'app-too-slow',
  title: 'The app takes too long',
  message: 'It did not answer in time.',
  retrySeconds: 5,
};
const sentTooSlowly: Page = {
  status: 408,
  code: 'too-slow',
  title: 'The request came too slowly',
  message: 'Nothing more of it arrived for a while.',
};
const tooMany: Page = {
  status: 503,
  code: 'too-many-visitors',
  title: 'Too many visitors',
  message: 'Too much is asked of this app at once.',
  retrySeconds: 5,
};
const tooManyOfYours: Page = {
  status: 429,
  code: 'rate-limited',
  title: 'Too much at once',
  message: 'Too many requests of yours are under way.',
  retrySeconds: 5,
};
const notWebSocket: Page = {
  status: 400,
  code: 'invalid',
  title: 'Not a WebSocket',
  message: 'No other upgrade is passed on.',
};
const notThisMethod: Page = {
  status: 405,
  code: 'method-not-allowed',
  title: 'This is not passed on',
  message: 'TRACE would show an app what is not for it.',
  fields: { allow: 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS' },
};
const tooLarge = (status: 413 | 414 | 431, message: string): Page => ({
  status,
  code: 'too-large',
  title: 'The request is too large',
  message,
});

export const pages = {
  nobody,
  cannotSay,
  notAnswering,
  tooSlow,
  sentTooSlowly,
  tooMany,
  tooManyOfYours,
  notWebSocket,
  notThisMethod,
  tooLarge,
} as const;

/** Of a launch that is coming up, for people while they wait; or of one that is over. */
export function pageOf(target: Exclude<Target, { state: 'up' }>): Page {
  const { title, message } = target;
  if (target.state === 'over' && target.isPassing === true)
    return { status: 503, code: 'launch-not-up', title, message, retrySeconds: 10 };
  if (target.state === 'over') return { status: 410, code: 'launch-over', title, message };
  return { status: 503, code: 'launch-not-up', title, message, retrySeconds: 1 };
}

/** Of one that did not come up in the time a visit waits for it. */
export function lateOf(target: Coming): Page {
  return {
    ...pageOf(target),
    message: `${target.message} It takes longer than a visit waits for it.`,
    retrySeconds: 5,
  };
}

/** Why a launch was not woken, as far as it is a visitor's business. */
export function reasonOf(error: unknown): string {
  return error instanceof Refusal ? `${error.message}.` : 'The platform cannot bring it up right now.';
}

/** Of one that cannot be brought up; `message` says why. */
export const failedOf = (message: string): Page => ({
  status: 503,
  code: 'launch-not-up',
  title: 'It does not come up',
  message,
  retrySeconds: 10,
});

const whyRefused: Readonly<Record<Refused, string>> = {
  none: 'It is for those who are signed in at the platform, or who have a link to it.',
  foreign: 'What you were let in with is for another launch.',
  expired: 'The time of what you were let in with is over.',
  revoked: 'The links to it have been revoked.',
  elsewhere: 'A page of another origin asked for it.',
};

export function refusalOf({ why, openUrl }: Extract<Verdict, { kind: 'refuse' }>): Page {
  const message = whyRefused[why];
  if (why === 'elsewhere') return { status: 403, code: 'foreign-origin', title: 'Not from here', message };
  return {
    status: 401,
    code: 'grant-required',
    title: 'This preview is private',
    message,
    link: { href: openUrl, text: 'Open it with AppHub' },
    fields: { 'www-authenticate': 'AppHub-Grant realm="preview"' },
  };
}
