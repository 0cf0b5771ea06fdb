/** Who is let in to which launch: everything that is asked of a request before anything of it is passed on. */
import type { IncomingMessage } from 'node:http';
import type { Log } from './log.ts';
import type { Gate, Verdict } from './preview-access.ts';
import type { Activity } from './preview-activity.ts';
import { hostNameOf, nameOf, pathOf } from './preview-address.ts';
import type { Counts } from './preview-count.ts';
import { forwardedPath, type IsPlatformToken } from './preview-fields.ts';
import type { Page } from './preview-page.ts';
import type { Finder, Target } from './preview-target.ts';
import { pages, refusalOf } from './preview-words.ts';

export type RequestLimits = {
  readonly bodyBytesMax: number;
  readonly urlCharsMax: number;
  readonly fieldsMax: number;
};

type Parts = {
  readonly options: {
    readonly finder: Finder;
    readonly activity: Pick<Activity, 'visit'>;
    readonly log: Log;
  };
  readonly limits: RequestLimits;
  readonly domain: string;
  readonly ownHosts: ReadonlySet<string>;
  readonly gate: Gate;
  readonly counts: Counts;
  readonly isPlatformToken: IsPlatformToken;
  readonly addressOf: (request: IncomingMessage) => string;
  readonly schemeOf: (request: IncomingMessage) => string;
};

/** Somebody who is let in, until `leave` is called. */
export type Admitted = {
  readonly kind: 'in';
  readonly name: string;
  readonly target: Target;
  readonly path: string;
  readonly scheme: string;
  readonly leave: () => void;
};
type Admission =
  | Admitted
  | { readonly kind: 'page'; readonly page: Page }
  | Extract<Verdict, { kind: 'redirect' | 'renewed' }>;

const page = (one: Page) => ({ kind: 'page', page: one }) as const;

/** At once where it is known who may visit the launch, which is so for most requests. Never rejects. */
export function admit(proxy: Parts, request: IncomingMessage): Admission | Promise<Admission> {
  const refused = refusedAtOnce(request, proxy.limits);
  if (refused !== undefined) return page(refused);
  const named = nameOf(hostNameOf(request), proxy);
  if (named === undefined || named.kind === 'nobody') return page(pages.nobody);
  const { name } = named;
  const { finder, log } = proxy.options;
  const found = finder.find(name);
  if (!(found instanceof Promise)) return letIn(proxy, request, name, found);
  return found.then(
    target => letIn(proxy, request, name, target),
    error => {
      log.warn({ err: error, name }, 'cannot find a launch');
      return page(pages.cannotSay);
    },
  );
}

function letIn(proxy: Parts, request: IncomingMessage, name: string, target: Target | undefined): Admission {
  const { options, counts, gate } = proxy;
  if (target === undefined) return page(pages.nobody);
  const scheme = proxy.schemeOf(request);
  const verdict = gate({ request, scheme, path: pathOf(request) }, target);
  if (verdict.kind === 'refuse') return page(refusalOf(verdict));
  if (verdict.kind !== 'pass') return verdict;
  const leave = counts.enter(target.launchId, proxy.addressOf(request));
  if (typeof leave === 'string')
    return page(leave === 'perVisitorMax' ? pages.tooManyOfYours : pages.tooMany);
  if (target.state !== 'over') options.activity.visit(target.launchId);
  return { kind: 'in', name, target, path: forwardedPath(verdict.path, proxy), scheme, leave };
}

/** What is not passed on, whoever asks and whatever for. */
function refusedAtOnce(request: IncomingMessage, limits: RequestLimits): Page | undefined {
  const { method, url = '', rawHeaders, headers } = request;
  if (method === 'TRACE') return pages.notThisMethod;
  if (url.length > limits.urlCharsMax)
    return pages.tooLarge(414, `An address may have ${limits.urlCharsMax} characters.`);
  if (rawHeaders.length > limits.fieldsMax * 2)
    return pages.tooLarge(431, `A request may have ${limits.fieldsMax} header fields.`);
  if (Number(headers['content-length'] ?? 0) > limits.bodyBytesMax) return bodyTooLarge(limits);
  return undefined;
}

export const bodyTooLarge = ({ bodyBytesMax }: RequestLimits): Page =>
  pages.tooLarge(413, `A body may have ${bodyBytesMax} bytes.`);
