/** What a visitor sees in place of an app: a short page that looks again by itself where that may help. */
import type { ServerResponse } from 'node:http';

/** After how many seconds to look again. Other statuses stay as they are. */
const retrySeconds: Readonly<Record<number, number>> = { 502: 5, 503: 2, 504: 5 };

export type Page = { readonly status: number; readonly title: string; readonly message: string };

export function sendPage(response: ServerResponse, page: Page, frameAncestors: string): void {
  const { fields, body } = renderPage(page, frameAncestors);
  response.writeHead(page.status, fields);
  response.end(response.req.method === 'HEAD' ? undefined : body);
}

export function renderPage({ status, title, message }: Page, frameAncestors: string) {
  const seconds = retrySeconds[status];
  const refresh = seconds === undefined ? '' : `<meta http-equiv="refresh" content="${seconds}">`;
  const body = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width">${refresh}
<title>${escapeHtml(title)}</title>
<style>
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; margin: 20vh auto 0; max-width: 32rem; padding: 0 1.5rem }
h1 { font-size: 1.4rem; margin: 0 0 .5rem }
p { margin: 0; opacity: .75 }
</style>
</head>
<body><main role="status"><h1>${escapeHtml(title)}</h1><p>${escapeHtml(message)}</p></main></body>
</html>
`;
  const fields: Record<string, string | number> = {
    'content-type': 'text/html; charset=utf-8',
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    'content-security-policy': `default-src 'none'; style-src 'unsafe-inline'; frame-ancestors ${frameAncestors}`,
    'x-content-type-options': 'nosniff',
    // The body of the request may not have been read: the connection cannot be used again.
    connection: 'close',
  };
  if (seconds !== undefined) fields['retry-after'] = seconds;
  return { fields, body };
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, char => `&#${char.charCodeAt(0)};`);
}
