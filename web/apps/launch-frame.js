/** The running app in its frame. */
import { html } from '../lib/html.js';

/** @import { App, Launch } from '../lib/shapes.js' */

/**
 * The app runs on an origin of its own, so it may have scripts and its own storage and still reaches nothing of this page.
 * It may not take over the window.
 */
const sandbox = [
  'allow-scripts',
  'allow-same-origin',
  'allow-forms',
  'allow-modals',
  'allow-popups',
  'allow-popups-to-escape-sandbox',
  'allow-downloads',
  'allow-pointer-lock',
].join(' ');

/** @param {{ app: App, launch: Launch }} props */
export function Frame({ app, launch }) {
  return html`<iframe class="frame" src=${launch.url} title=${`${app.name}, running`} sandbox=${sandbox}
    allow="fullscreen" referrerpolicy="no-referrer"></iframe>`;
}
