import { html } from '../lib/html.js';
/** @param {{ appId: string, section: string, itemId: string }} props */
export function AppPage({ appId }) {
  return html`<h1>${appId}</h1>`;
}
