/**
 * What a visitor gets in place of an app: people a short page that looks again by itself where that may help, programs a
 * problem.
 */
import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { wantsPage } from './preview-access.ts';
import { hasBody } from './preview-fields.ts';
import { Problem } from './problem.ts';

export type Page = {
  readonly status: number;
  readonly code: string;
  readonly title: string;
  readonly message: string;
  /** After how many seconds to look again. Without it the page stays as it is. */
  readonly retrySeconds?: number;
  /** Where the visitor can go on. */
  readonly link?: { readonly href: string; readonly text: string };
  readonly fields?: Readonly<Record<string, string>>;
};

const policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

export function sendPage(response: ServerResponse, page: Page, frameAncestors: string): void {
  const { req: request } = response;
  const { fields, body } = renderPage(page, request, frameAncestors);
  // A body that was not read would be taken for the next request.
  if (hasBody(request)) fields.connection = 'close';
  response.writeHead(page.status, fields);
  response.end(request.method === 'HEAD' ? undefined : body);
}

/** The same on a socket that no response belongs to. */
export function sendPageTo(
  socket: Duplex,
  request: IncomingMessage,
  page: Page,
  frameAncestors: string,
): void {
  const { fields, body } = renderPage(page, request, frameAncestors);
  const lines = Object.entries({ ...fields, connection: 'close' }).map(
    ([name, value]) => `${name}: ${value}`,
  );
  socket.end(
    `HTTP/1.1 ${page.status} ${STATUS_CODES[page.status] ?? ''}\r\n${lines.join('\r\n')}\r\n\r\n${body}`,
  );
}

function renderPage(page: Page, { headers }: IncomingMessage, frameAncestors: string) {
  const isPage = headers['sec-fetch-mode'] === 'navigate' || wantsPage(headers.accept);
  const { status, code, title, message, retrySeconds } = page;
  const body = isPage
    ? htmlOf(page)
    : `${JSON.stringify(new Problem(status, code, title, { detail: message }).toDocument())}\n`;
  const fields: Record<string, string | number> = {
    'content-type': isPage ? 'text/html; charset=utf-8' : 'application/problem+json',
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    'content-security-policy': `${policy}; frame-ancestors ${frameAncestors}`,
    'referrer-policy': 'no-referrer',
    vary: 'accept, sec-fetch-mode',
    'x-content-type-options': 'nosniff',
    ...page.fields,
  };
  if (retrySeconds !== undefined) fields['retry-after'] = retrySeconds;
  return { fields, body };
}

function htmlOf({ title, message, retrySeconds, link }: Page): string {
  const refresh = retrySeconds === undefined ? '' : `<meta http-equiv="refresh" content="${retrySeconds}">`;
  // In a frame of the platform's page the window is not to be left for it.
  const further =
    link &&
    `<p><a href="${escapeHtml(link.href)}" target="_blank" rel="noopener">${escapeHtml(link.text)}</a></p>`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width">${refresh}
<title>${escapeHtml(title)}</title>
<style>
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; margin: 20vh auto 0; max-width: 32rem; padding: 0 1.5rem }
h1 { font-size: 1.4rem; margin: 0 0 .5rem }
p { margin: 0 0 .75rem; opacity: .75 }
a { font-weight: 600 }
progress { width: 100% }
</style>
</head>
<body><main role="status"><h1>${escapeHtml(title)}</h1><p>${escapeHtml(message)}</p>${
    retrySeconds === undefined ? '' : '<progress aria-label="Waiting"></progress>'
  }${further ?? ''}</main></body>
</html>
`;
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, char => `&#${char.charCodeAt(0)};`);
}
