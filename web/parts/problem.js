/** What went wrong, plainly, and what can be done about it. */
import { Problem } from '../lib/api.js';
import { html } from '../lib/html.js';
import { Icon } from './icon.js';

/** @type {Readonly<Record<string, string>>} */
const advice = {
  offline: 'Check that AppHub runs; this page tries again by itself as soon as it does.',
  behind: 'The tables are behind the log. They catch up by themselves; try again in a moment.',
  unavailable: 'It may just be starting. Try again in a moment.',
  internal: 'The log of the server says more.',
  forbidden: 'Ask whoever runs AppHub for this scope, or sign in as somebody who has it.',
  'foreign-resource': 'Ask whoever runs AppHub for access to it, or sign in as somebody who has it.',
  'not-protected': 'On the machine AppHub runs on, its page can be used at http://localhost without HTTPS.',
  'launch/no-image': 'Build the app first; a build that failed has no image.',
  'launch/image-removed': 'Build it again, and its image is there again.',
  'launch/no-earlier-build': 'Only one build has run here yet. Once another one has, there is a way back.',
  'launch/deploying': 'Wait until it serves or has failed.',
  'launch/already-ended': 'Launch it again; it gets an address of its own.',
  'build/no-commit':
    'Its source has not been read yet. Wait until it is ready, or look at why reading failed.',
};

/** @param {Error} error */
export const sentenceOf = error => {
  if (!(error instanceof Problem)) return error.message;
  const fields = error.errors.map(({ field, message }) => `${field} ${message}`).join('; ');
  return [error.message, error.detail, fields].filter(part => part !== '').join('. ');
};

/** @param {{ error: Error, what?: string, onRetry?: () => void }} props */
export function ProblemBox({ error, what, onRetry }) {
  const hint = error instanceof Problem ? advice[error.code] : undefined;
  return html`
    <div class="problem" role="alert">
      <${Icon} name="warn" />
      <div>
        <p><strong>${what ? `${what}: ` : ''}${sentenceOf(error)}.</strong></p>
        ${hint && html`<p>${hint}</p>`}
      </div>
      ${
        onRetry &&
        html`<button type="button" class="small" onClick=${onRetry}><${Icon}
        name="retry" />Try again</button>`
      }
    </div>
  `;
}
