/** On the way into a private launch: whoever has signed in is led on, and whoever may not see it is told why. */
import { write } from '../lib/api.js';
import { html, useEffect } from '../lib/html.js';
import { useAction, useTitle } from '../lib/use.js';
import { ProblemBox } from '../parts/problem.js';

/** @param {{ launchId: string, query: URLSearchParams }} props */
export function OpenPage({ launchId, query }) {
  useTitle('Opening');
  const path = query.get('to') ?? '/';
  const host = query.get('host');
  const open = useAction(async () => {
    const { url } = await write(
      'POST',
      `/launches/${encodeURIComponent(launchId)}/grants`,
      host === null ? { path } : { path, host },
      null,
    );
    location.replace(url);
  });
  useEffect(() => void open.run(), [launchId, path, host]);
  return html`
    <section class="empty">
      ${
        open.problem
          ? html`<${ProblemBox} what="It cannot be opened" error=${open.problem} onRetry=${() => open.run()} />
            <p><a href="/">All apps</a></p>`
          : html`<p class="waiting" role="status"><span class="spinner"></span>Opening the app…</p>`
      }
    </section>
  `;
}
